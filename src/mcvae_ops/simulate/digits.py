"""A screen whose answer is known outside this repository: digits written over textures.

A perturbed cell is a digit of scikit-learn (Alpaydin and Kaynak 1998, doi:10.24432/C50P49) over a
texture of scikit-image, a control cell the texture alone. What the perturbation does is the digit
and nothing else; what cells do anyway is the texture. A gene is a digit, a guide one handwritten
digit, a well a texture.

    python -m mcvae_ops.simulate.digits results/digits_archive
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from skimage import data
from skimage.transform import resize
from sklearn.datasets import load_digits

from mcvae_ops.files import write_parquet

SIZE_PX = 16
DIGIT_PX = 12
TEXTURES = {"A1": data.grass, "A2": data.brick, "A3": data.gravel}
REPEATS = 3
"""Cells of each handwritten digit, each over another patch of another texture."""
CONTROLS = 2400
BASE_COUNTS, TEXTURE_COUNTS, DIGIT_COUNTS = 100, 1500, 2500
NOISE_COUNTS = 30.0


def patches(well: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a patch of the texture of each well, from 0 to 1, (cell, y, x)."""
    images = {name: texture() / 255.0 for name, texture in TEXTURES.items()}
    corners = rng.integers(0, 512 - SIZE_PX, (len(well), 2))
    places = zip(well, corners, strict=True)
    return np.stack([images[name][y : y + SIZE_PX, x : x + SIZE_PX] for name, (y, x) in places])


def draw_digits(seed: int) -> tuple[np.ndarray, pd.DataFrame]:
    """Draw the cells of the screen.

    Returns
    -------
    uint16 (cell, channel, y, x), counts; and gene ("digit_3", or "texture" for controls), guide and
    well of each cell.
    """
    rng, digits = np.random.default_rng(seed), load_digits()
    margin = (SIZE_PX - DIGIT_PX) // 2
    written = np.zeros((len(digits.images), SIZE_PX, SIZE_PX))
    inner = slice(margin, margin + DIGIT_PX)
    written[:, inner, inner] = resize(
        digits.images / 16.0, (len(written), DIGIT_PX, DIGIT_PX), order=1
    )
    number = np.repeat(np.arange(len(written)), REPEATS)
    wells = np.array([*TEXTURES])
    well = np.concatenate([
        wells[(number + np.tile(np.arange(REPEATS), len(written))) % len(wells)],
        wells[np.arange(CONTROLS) % len(wells)],
    ])  # fmt: skip
    counts = BASE_COUNTS + TEXTURE_COUNTS * patches(well, rng)
    counts[: len(number)] += DIGIT_COUNTS * written[number]
    counts += rng.normal(0.0, NOISE_COUNTS, counts.shape)
    cells = pd.DataFrame({
        "gene": [*(f"digit_{digits.target[k]}" for k in number), *["texture"] * CONTROLS],
        "guide": [*(f"written_{k}" for k in number), *["texture"] * CONTROLS],
        "well": well,
    })  # fmt: skip
    return counts.clip(0, 65_535).astype(np.uint16)[:, None], cells


def write_digits(folder: Path, seed: int = 0) -> None:
    """Write a file for each cell, and the table of cells, as `config/digits.yaml` reads them."""
    crops, cells = draw_digits(seed)
    (folder / "crops").mkdir(parents=True, exist_ok=True)
    names = [f"{k:05d}" for k in range(len(cells))]
    for name, crop in zip(names, crops, strict=True):
        np.save(folder / f"crops/{name}.npy", crop)
    cells["crop"] = [f"crops/{name}.npy" for name in names]
    write_parquet(cells.assign(name=names), folder / "cells.parquet")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    write_digits(parser.parse_args().folder)
