"""Tiles with planted shifts: cells whose stains share outlines, not textures."""

import numpy as np
import scipy.ndimage

PAD_PX = 32
STAINS = ("DNA", "foci", "tubulin", "actin")
COUNTS = {"DNA": 3000, "foci": 1500, "tubulin": 2000, "actin": 1500}


def draw_scene(rng: np.random.Generator, size_px: int, n_cells: int) -> dict[str, np.ndarray]:
    """Draw cells on a canvas that is PAD_PX larger on each side: {stain: (y, x)}, about 0 to 1."""
    edge = size_px + 2 * PAD_PX
    scene = {stain: np.zeros((edge, edge), np.float32) for stain in STAINS}
    grain = [_texture(rng, edge, sigma) for sigma in (1.5, 1.2, 2.0, 1.0)]
    for _ in range(int(n_cells * (edge / size_px) ** 2)):
        y, x = rng.uniform(0, edge, 2)
        radius, angle = rng.uniform(5, 9), rng.uniform(0, np.pi)
        rows, columns = (slice(max(0, int(c) - 30), min(edge, int(c) + 30)) for c in (y, x))
        dy, dx = np.mgrid[rows, columns] - np.array([y, x]).reshape(2, 1, 1)
        u, v = dx * np.cos(angle) + dy * np.sin(angle), dy * np.cos(angle) - dx * np.sin(angle)
        nucleus = _disc(u, v, radius, radius * rng.uniform(0.7, 1))
        oy, ox = rng.normal(0, 0.4 * radius, 2)
        long = radius * rng.uniform(1.8, 2.5)
        body = np.hypot((u - ox) / long, (v - oy) / (long * rng.uniform(0.6, 1)))
        cytoplasm = 1 / (1 + np.exp((body - 1) * 8))
        waves = [np.sin(2 * np.pi * w / rng.uniform(2, 4) + rng.uniform(0, 6)) for w in (u, v)]
        here = np.s_[rows, columns]
        cut = [g[here] for g in grain]
        scene["DNA"][here] += rng.uniform(0.6, 1.4) * nucleus * (1 + 0.4 * cut[0])
        scene["foci"][here] += rng.uniform(0.1, 0.5) * nucleus * (1 + 0.3 * cut[1])
        if rng.random() < 0.15:
            for fy, fx in rng.normal(0, 0.4 * radius, (5, 2)):
                scene["foci"][here] += np.exp(-((dy - fy) ** 2 + (dx - fx) ** 2) / 2)
        tubes = cytoplasm * (1 - 0.6 * nucleus) * (1 + 0.25 * waves[0] + 0.4 * cut[2])
        scene["tubulin"][here] += rng.uniform(0.5, 1.2) * tubes
        rim = np.exp(-(((body - 1) * 6) ** 2)) + 0.25 * cytoplasm * (1 + 0.6 * waves[1])
        scene["actin"][here] += rng.uniform(0.4, 1.2) * rim * (1 + 0.3 * cut[3])
    return {stain: scipy.ndimage.gaussian_filter(image, 1.0) for stain, image in scene.items()}


def record(
    rng: np.random.Generator,
    scene: dict[str, np.ndarray],
    shifts: dict[str, tuple[float, float]],
    fixed_pattern: float,
    brightness: float = 1.0,
    background: float = 300.0,
) -> dict[str, np.ndarray]:
    """Record a scene: {stain: uint16 (y, x)}.

    Parameters
    ----------
    shifts
        (dy, dx) in px per stain, to be added to its coordinates to land in the scene's frame.
    fixed_pattern
        Relative gain noise of the camera's pixels, the same for all stains.
    brightness, background
        Of the cells (1 is bright), and in counts.
    """
    edge = next(iter(scene.values())).shape[0] - 2 * PAD_PX
    gain = 1 + fixed_pattern * rng.standard_normal((edge, edge))
    across = np.linspace(-1, 1, edge)
    vignette = 1 - 0.1 * (across[:, None] ** 2 + across**2)
    tile = {}
    for stain, image in scene.items():
        moved = shift_image(image, shifts.get(stain, (0, 0)))[PAD_PX:-PAD_PX, PAD_PX:-PAD_PX]
        light = (background + brightness * COUNTS[stain] * np.maximum(moved, 0)) * vignette
        counts = rng.poisson(light) * gain + rng.normal(0, 5, light.shape)
        tile[stain] = np.clip(np.rint(counts), 0, 65535).astype(np.uint16)
    return tile


def shift_image(image: np.ndarray, shift: tuple[float, float]) -> np.ndarray:
    """Move what an image shows by -shift, exactly (Fourier), so that `shift` brings it back."""
    moved = scipy.ndimage.fourier_shift(np.fft.fft2(image), -np.asarray(shift, float))
    return np.fft.ifft2(moved).real


def _texture(rng: np.random.Generator, edge: int, sigma: float) -> np.ndarray:
    noise = rng.standard_normal((edge, edge)).astype(np.float32)
    return scipy.ndimage.gaussian_filter(noise, sigma) * sigma * 3.5


def _disc(u: np.ndarray, v: np.ndarray, a: float, b: float) -> np.ndarray:
    return 1 / (1 + np.exp((np.hypot(u / a, v / b) - 1) * 8))
