"""Turn the state of a cell into the sizes, positions and brightnesses that are drawn."""

from dataclasses import dataclass, fields

import numpy as np
import pandas as pd
from scipy.special import ndtr

N_FOCI, N_HOLES, N_MICRONUCLEI, N_AGGREGATES, N_BUNDLES = 14, 4, 3, 6, 3
N_NATURAL_FOCI, N_NUCLEOLI = 4, 3


@dataclass(frozen=True)
class Appearance:
    """Appearance of cells: float32 arrays, first axis cell; positions are (cell, spot) y and x, px.

    Lengths are in px, brightnesses in counts; levels of novel phenotypes are 0 where absent.
    """

    angle: np.ndarray
    semi_axes_px: np.ndarray  # (cell, 2): along and across
    nucleus_px: np.ndarray  # (cell, 2): along and across
    outline_phase: np.ndarray  # (cell, 2): of the second and third harmonic
    texture: np.ndarray  # (cell, 2): position in the texture field, 0 to 1
    is_mitotic: np.ndarray  # 0 or 1
    dna: np.ndarray
    haze: np.ndarray
    tubulin: np.ndarray
    actin: np.ndarray
    stress_fibres: np.ndarray  # relative amplitude
    lobes: np.ndarray
    bundles: np.ndarray
    bundle_offset: np.ndarray  # (cell, bundle): across the cell, in semi-axes
    collapse: np.ndarray
    foci: np.ndarray  # (cell, spot, 3): y, x, counts
    holes: np.ndarray  # (cell, spot, 3): y, x, depth
    micronuclei: np.ndarray  # (cell, spot, 3): y, x, counts
    aggregates: np.ndarray  # (cell, spot, 3): y, x, counts
    mitochondria: np.ndarray
    reticulum: np.ndarray
    rna: np.ndarray
    nucleoli: np.ndarray  # (cell, spot, 3): y, x, relative brightness

    def __getitem__(self, cells: slice) -> "Appearance":
        return Appearance(*(getattr(self, field.name)[cells] for field in fields(self)))

    def __len__(self) -> int:
        return len(self.angle)


def appearance_of(cells: pd.DataFrame, cell: dict, rng: np.random.Generator) -> Appearance:
    """Draw the appearance of each cell.

    Parameters
    ----------
    cells
        State of each cell, see `mcvae_ops.simulate.cell_states.draw_cells`.
    cell
        Section ``simulate.cell`` of the configuration.
    rng
        Source of the draws.
    """
    n = len(cells)
    mitotic = cells["is_mitotic"].to_numpy(float)
    levels = {
        axis: cells[axis].to_numpy() * (1 - mitotic) for axis in ("lobed_nucleus", "nuclear_holes")
    }
    content = 1 + ndtr(cells["cell_cycle"].to_numpy())
    content = np.where(mitotic > 0, 2.0, content)
    semi_axes = _semi_axes(cells, cell, mitotic)
    nucleus = _nucleus(content, semi_axes, cell, mitotic)
    expression = np.exp(rng.normal(0, cell["expression_sd"], (4, n)))
    angle = rng.uniform(0, 2 * np.pi, n)
    actin = cell["actin_counts"] * expression[3]
    actin *= np.exp(cell["actin_sd"] * cells["actin_intensity"].to_numpy())
    fibres = np.exp(cell["stress_fibre_sd"] * cells["stress_fibres"].to_numpy()) * (1 - mitotic)
    drawn = {
        "angle": angle,
        "semi_axes_px": semi_axes,
        "nucleus_px": nucleus,
        "outline_phase": rng.uniform(0, 2 * np.pi, (n, 2)),
        "texture": rng.uniform(0, 1, (n, 2)),
        "is_mitotic": mitotic,
        "dna": cell["dna_counts"] * expression[0] * content**0.4 * (1 + 0.7 * mitotic),
        "haze": cell["haze_counts"] * expression[1] * content**0.3 * (1 + 0.8 * mitotic),
        "tubulin": cell["tubulin_counts"] * expression[2],
        "actin": actin,
        "stress_fibres": np.minimum(fibres, 4.0),
        "lobes": np.minimum(levels["lobed_nucleus"], 1.2),
        "bundles": cells["tubulin_bundles"].to_numpy(),
        "bundle_offset": rng.uniform(-0.6, 0.6, (n, N_BUNDLES)),
        "collapse": np.minimum(cells["tubulin_collapse"].to_numpy(), 1.2),
        "foci": _foci(cells, nucleus, angle, cell, rng),
        "holes": _spots(levels["nuclear_holes"], N_HOLES, nucleus, angle, (0.1, 0.65), rng),
        "micronuclei": _micronuclei(levels["lobed_nucleus"], nucleus, angle, cell, rng),
        "aggregates": _aggregates(cells, semi_axes, angle, cell, rng),
    }
    # A generator of its own, so that these stains do not change the draws of the others.
    drawn |= _organelles(levels["nuclear_holes"], mitotic, nucleus, angle, cell, rng.spawn(1)[0])
    return Appearance(**{name: np.asarray(a, np.float32) for name, a in drawn.items()})


def _organelles(holes, mitotic, nucleus, angle, cell, rng) -> dict[str, np.ndarray]:
    """Return the brightness of the organelles; nucleoli dissolve where chromatin has holes."""
    names = ("mitochondria", "reticulum", "rna")
    counts = cell["organelle_counts"] * np.exp(
        rng.normal(0, cell["expression_sd"], (3, len(holes)))
    )
    intact = (1 - np.minimum(0.9 * holes, 0.95)) * (1 - mitotic)
    nucleoli = _spots(intact, N_NUCLEOLI, nucleus, angle, (0.1, 0.6), rng)
    return dict(zip(names, counts, strict=True)) | {"nucleoli": nucleoli}


def _semi_axes(cells: pd.DataFrame, cell: dict, mitotic: np.ndarray) -> np.ndarray:
    """Return both semi-axes of each cell, px; mitotic cells are round and smaller."""
    radius = cell["radius_px"] * np.exp(
        cell["radius_sd"] * cells["size"] + cell["density_response"] * cells["density"]
    )
    aspect = cell["aspect"] * np.exp(cell["aspect_sd"] * cells["elongation"])
    aspect = np.where(mitotic > 0, 1.05, np.maximum(aspect, 1.0))
    radius = radius * (1 - 0.2 * mitotic)
    axes = np.column_stack([radius * np.sqrt(aspect), radius / np.sqrt(aspect)])
    return np.minimum(axes, cell["max_semi_axis_px"])


def _nucleus(content: np.ndarray, semi_axes: np.ndarray, cell: dict, mitotic: np.ndarray):
    """Return both semi-axes of each nucleus, px: an ellipse, or the plate of a mitotic cell."""
    radius = cell["nucleus_fraction"] * cell["radius_px"] * np.sqrt(content / 1.5)
    radius = np.minimum(radius, 0.8 * semi_axes[:, 1])
    aspect = (semi_axes[:, 0] / semi_axes[:, 1]) ** 0.5
    interphase = np.column_stack([radius * np.sqrt(aspect), radius / np.sqrt(aspect)])
    plate = np.column_stack([0.22 * semi_axes[:, 0], 0.6 * semi_axes[:, 1]])
    return np.where(mitotic[:, None] > 0, plate, interphase)


def _spots(amplitude, n_spots, axes_px, angle, radii, rng) -> np.ndarray:
    """Scatter spots between two radii (fractions of the axes) of an ellipse: (cell, spot, 3)."""
    n = len(angle)
    radius = np.sqrt(rng.uniform(radii[0] ** 2, radii[1] ** 2, (n, n_spots)))
    direction = rng.uniform(0, 2 * np.pi, (n, n_spots))
    along = radius * np.cos(direction) * axes_px[:, :1]
    across = radius * np.sin(direction) * axes_px[:, 1:]
    cos, sin = np.cos(angle)[:, None], np.sin(angle)[:, None]
    height = np.broadcast_to(np.reshape(amplitude, (n, -1)), (n, n_spots))
    height = height * np.exp(rng.normal(0, 0.25, (n, n_spots)))
    return np.stack([along * sin + across * cos, along * cos - across * sin, height], axis=-1)


def _foci(cells, nucleus, angle, cell, rng) -> np.ndarray:
    """Return a few natural foci and, with damage, many brighter ones."""
    n = len(cells)
    natural = rng.poisson(cell["natural_foci"], n)[:, None] > np.arange(N_FOCI)
    natural &= np.arange(N_FOCI) < N_NATURAL_FOCI
    level = cells["damage_foci"].to_numpy()[:, None]
    novel = level * (rng.uniform(size=(n, N_FOCI)) < 0.25 + 0.75 * level)
    counts = cell["focus_counts"] * (0.7 * natural + 1.6 * novel)
    return _spots(counts, N_FOCI, nucleus, angle, (0.0, 0.85), rng)


def _micronuclei(level, nucleus, angle, cell, rng) -> np.ndarray:
    """Return small nuclei beside a lobed one."""
    present = rng.uniform(size=(len(level), N_MICRONUCLEI)) < level[:, None]
    counts = 0.6 * cell["dna_counts"] * np.minimum(level[:, None], 1.2) * present
    return _spots(counts, N_MICRONUCLEI, nucleus, angle, (1.25, 1.5), rng)


def _aggregates(cells, semi_axes, angle, cell, rng) -> np.ndarray:
    """Return clumps of actin between nucleus and cortex."""
    counts = 2.2 * cell["actin_counts"] * cells["actin_aggregates"].to_numpy()
    return _spots(counts, N_AGGREGATES, semi_axes, angle, (0.5, 0.85), rng)
