"""Draw cells: one small image per cell and stain, many cells at a time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from mcvae_ops.errors import InputError
from mcvae_ops.screen import Channel
from mcvae_ops.simulate.appearance import Appearance
from mcvae_ops.simulate.well_layout import smooth_noise

_MARGIN_PX = 3
_EDGE_SHARPNESS = 22.0
_CELLS_AT_A_TIME = 64  # so few that their patches fit in the processor's cache


@dataclass(frozen=True)
class Frame:
    """Coordinates of each pixel in its cell, (cell, y, x), and its share of cell and nucleus."""

    y: np.ndarray  # (cell, y), px from the cell's centre
    x: np.ndarray  # (cell, x)
    along: np.ndarray  # px
    across: np.ndarray
    radius: np.ndarray  # 1 at the outline of the cell
    nuclear_radius: np.ndarray  # 1 at the outline of the nucleus
    body: np.ndarray
    nucleus: np.ndarray
    texture: np.ndarray  # random field, unit variance


def patch_size(cell: dict) -> int:
    """Return the edge of a cell's image, px."""
    return 2 * (int(np.ceil(cell["max_semi_axis_px"])) + _MARGIN_PX)


def texture_field(rng: np.random.Generator) -> np.ndarray:
    """Return the random field (y, x) from which every cell takes the texture of its stains."""
    return smooth_noise((256, 256), 1.6, rng).astype(np.float32)


def frame_of(looks: Appearance, offsets_px: np.ndarray, size_px: int, field: np.ndarray) -> Frame:
    """Return the coordinates of the pixels of each cell.

    Parameters
    ----------
    looks
        Appearance of the cells.
    offsets_px
        (cell, 2) as y, x: position of the cell's centre minus pixel ``size_px // 2``.
    size_px
        Edge of a cell's image.
    field
        See `texture_field`.
    """
    pixels = np.arange(size_px, dtype=np.float32) - size_px // 2
    y, x = (pixels[None, :] - offsets_px[:, axis, None].astype(np.float32) for axis in (0, 1))
    cos, sin = (f(looks.angle)[:, None, None] for f in (np.cos, np.sin))
    along = cos * x[:, None, :] + sin * y[:, :, None]
    across = cos * y[:, :, None] - sin * x[:, None, :]
    direction = np.arctan2(across, along)
    phases = looks.outline_phase[:, :, None, None]
    outline = 1 + 0.05 * np.cos(2 * direction + phases[:, 0])
    outline += 0.05 * np.cos(3 * direction + phases[:, 1])
    lobes = 1 + 0.32 * looks.lobes[:, None, None] * np.cos(3 * direction + phases[:, 0])
    radius = _elliptic(along, across, looks.semi_axes_px) / outline
    nuclear = _elliptic(along, across, looks.nucleus_px) / lobes
    texture = _texture(looks.texture, size_px, field)
    inside = [_edge(radius, _EDGE_SHARPNESS), _edge(nuclear, 0.5 * _EDGE_SHARPNESS)]
    return Frame(y, x, along, across, radius, nuclear, *inside, texture)


def dna(frame: Frame, looks: Appearance) -> np.ndarray:
    """Draw chromatin, its holes and micronuclei, (cell, y, x), counts."""
    holes = np.clip(1 - 0.85 * spots(frame, looks.holes, 1.7), 0.05, 1)
    chromatin = _each(looks.dna) * frame.nucleus * (1 + 0.18 * frame.texture) * holes
    return chromatin + frame.body * spots(frame, looks.micronuclei, 1.4)


def damage(frame: Frame, looks: Appearance) -> np.ndarray:
    """Draw gamma-H2AX: nuclear haze and foci, (cell, y, x), counts."""
    haze = _each(looks.haze) * frame.nucleus * (1 + 0.12 * frame.texture)
    return haze + frame.nucleus * spots(frame, looks.foci, 1.0)


def tubulin(frame: Frame, looks: Appearance) -> np.ndarray:
    """Draw microtubules: a network, thick bundles, a ring round the nucleus, or a spindle."""
    collapse, mitotic = _each(looks.collapse), _each(looks.is_mitotic)
    network = (0.3 + 0.7 * np.exp(-1.3 * frame.radius)) * (1 + 0.22 * frame.texture)
    network *= frame.body * (1 - 0.55 * frame.nucleus) * (1 - np.minimum(0.8 * collapse, 0.95))
    ring = np.exp(-(((frame.nuclear_radius - 1.2) / 0.28) ** 2)) * frame.body
    interphase = network + 0.9 * collapse * ring + frame.body * _bundles(frame, looks)
    pole = 0.55 * looks.semi_axes_px[:, 0, None, None]
    spindle = np.exp(-((frame.across / (0.45 * pole * (1.6 - np.abs(frame.along) / pole))) ** 2))
    spindle *= np.abs(frame.along) < pole
    return _each(looks.tubulin) * (
        (1 - mitotic) * interphase + mitotic * (1.3 * spindle * frame.body + 0.25 * frame.body)
    )


def actin(frame: Frame, looks: Appearance) -> np.ndarray:
    """Draw cortex, stress fibres along the cell and aggregates, (cell, y, x), counts."""
    cortex = np.exp(-(((frame.radius - 0.9) / 0.11) ** 2)) * (1 + 0.15 * frame.texture)
    wave = np.cos((2 * np.pi / 4.5) * frame.across + 0.9 * frame.texture + _each(looks.angle))
    fibres = 0.45 * _each(looks.stress_fibres) * (0.5 + 0.5 * wave) ** 3 * (frame.radius < 0.9)
    filaments = (0.75 * cortex + 0.22 + fibres) * frame.body
    return _each(looks.actin) * filaments + frame.body * spots(frame, looks.aggregates, 1.6)


def mitochondria(frame: Frame, looks: Appearance) -> np.ndarray:
    """Draw threads, which gather round the nucleus where microtubules collapse; counts."""
    wave = np.cos((2 * np.pi / 5.0) * frame.across + 2.5 * frame.texture + _each(looks.angle))
    threads = 0.25 + 0.75 * (0.5 + 0.5 * wave) ** 2
    gathered = np.exp(-(0.8 + 2.0 * _each(looks.collapse)) * frame.radius)
    return _each(looks.mitochondria) * 1.6 * threads * gathered * frame.body * (1 - frame.nucleus)


def reticulum(frame: Frame, looks: Appearance) -> np.ndarray:
    """Draw the endoplasmic reticulum: densest at the nuclear envelope, (cell, y, x), counts."""
    envelope = 0.5 * np.exp(-(((frame.nuclear_radius - 1.05) / 0.15) ** 2))
    sheets = (0.25 + 0.75 * np.exp(-1.6 * frame.radius)) * (1 + 0.12 * frame.texture)
    return _each(looks.reticulum) * (sheets * (1 - 0.7 * frame.nucleus) + envelope) * frame.body


def rna(frame: Frame, looks: Appearance) -> np.ndarray:
    """Draw RNA: cytoplasm and nucleoli, (cell, y, x), counts."""
    cytoplasm = 0.5 * frame.body * (1 - 0.5 * frame.nucleus) * (1 + 0.1 * frame.texture)
    return _each(looks.rna) * (cytoplasm + frame.nucleus * spots(frame, looks.nucleoli, 1.8))


STAINS: dict[str, Callable[[Frame, Appearance], np.ndarray]] = {
    "DNA": dna,
    "Hoechst 33342": dna,
    "gamma-H2AX": damage,
    "alpha-tubulin": tubulin,
    "phalloidin": actin,
    "MitoTracker": mitochondria,
    "concanavalin A": reticulum,
    "SYTO 14": rna,
}


def stains_of(channels: Sequence[Channel]) -> list[Callable[[Frame, Appearance], np.ndarray]]:
    """Return the function that draws each channel.

    Raises
    ------
    InputError
        If the simulation cannot draw a channel's stain.
    """
    for channel in channels:
        if channel.stain not in STAINS:
            raise InputError(
                where=f"configuration key screen.channels, {channel.name}",
                found=f"stain {channel.stain!r}",
                expected=f"one of {', '.join(STAINS)} for source simulated",
                fix="choose one of them",
            )
    return [STAINS[channel.stain] for channel in channels]


def render_cells(
    looks: Appearance,
    offsets_px: np.ndarray,
    channels: Sequence[Channel],
    size_px: int,
    field: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Draw cells in focus, without noise.

    Returns
    -------
    float32 (cell, channel, y, x), counts; and float32 (cell, y, x), share of each pixel that the
    cell covers.
    """
    stains = stains_of(channels)
    images = np.empty((len(looks), len(channels), size_px, size_px), np.float32)
    bodies = np.empty((len(looks), size_px, size_px), np.float32)
    for first in range(0, len(looks), _CELLS_AT_A_TIME):
        part = slice(first, first + _CELLS_AT_A_TIME)
        frame = frame_of(looks[part], offsets_px[part], size_px, field)
        bodies[part] = frame.body
        for channel, stain in enumerate(stains):
            images[part, channel] = stain(frame, looks[part])
    return images, bodies


def spots(frame: Frame, peaks: np.ndarray, sd_px: float) -> np.ndarray:
    """Draw Gaussian spots, (cell, spot, 3) as y, x, height; rows times columns, which is fast."""
    rows, columns = (
        np.exp(-0.5 * ((pixels[:, None, :] - peaks[:, :, axis, None]) / sd_px) ** 2)
        for axis, pixels in enumerate((frame.y, frame.x))
    )
    return np.einsum("cky,ckx->cyx", rows * peaks[:, :, 2, None], columns)


def _bundles(frame: Frame, looks: Appearance) -> np.ndarray:
    """Draw a few thick, slightly bent bands along each cell, relative brightness."""
    bend = frame.across + 0.012 * frame.along**2
    bands = np.zeros_like(bend)
    for offset in looks.bundle_offset.T:
        middle = (offset * looks.semi_axes_px[:, 1])[:, None, None]
        bands += np.exp(-(((bend - middle) / 1.5) ** 2))
    return 1.1 * _each(looks.bundles) * bands


def _each(values: np.ndarray) -> np.ndarray:
    return values[:, None, None]


def _elliptic(along: np.ndarray, across: np.ndarray, axes_px: np.ndarray) -> np.ndarray:
    return np.hypot(along / axes_px[:, 0, None, None], across / axes_px[:, 1, None, None])


def _edge(radius: np.ndarray, sharpness: float) -> np.ndarray:
    return 1 / (1 + np.exp(np.minimum(sharpness * (radius - 1), 60)))


def _texture(position: np.ndarray, size_px: int, field: np.ndarray) -> np.ndarray:
    windows = np.lib.stride_tricks.sliding_window_view(field, (size_px, size_px))
    corner = (position * (field.shape[0] - size_px)).astype(int)
    return windows[corner[:, 0], corner[:, 1]]
