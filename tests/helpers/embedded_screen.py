"""A tiny screen of cells with vectors that others made: true ones, and three kinds of cheats."""

import string
from pathlib import Path

import numpy as np
import pandas as pd

from mcvae_ops.embeddings.density import density_features
from mcvae_ops.files import write_parquet

N_CELLS, N_COMPLEXES, GENES_PER_COMPLEX, GUIDES_PER_GENE, N_CONTROL_GUIDES = 6000, 10, 3, 2, 8
DIMENSIONS = 8


def cells_of_screen() -> pd.DataFrame:
    """Two plates of two wells; cells lie in clumps, a quarter of them are controls."""
    rng = np.random.default_rng(0)
    genes = [f"{letter}{k}" for letter in string.ascii_uppercase[:N_COMPLEXES]
             for k in range(GENES_PER_COMPLEX)]  # fmt: skip
    is_ntc = rng.random(N_CELLS) < 0.25
    gene = np.where(is_ntc, "NTC", rng.choice(genes, N_CELLS))
    number = rng.integers(np.where(is_ntc, N_CONTROL_GUIDES, GUIDES_PER_GENE))
    plate, well = rng.choice(["P1", "P2"], N_CELLS), rng.choice(["A1", "A2"], N_CELLS)
    cells = pd.DataFrame({"plate": plate, "well": well, "tile": rng.integers(0, 4, N_CELLS)})
    clump = rng.integers(0, 6, N_CELLS)
    centres = rng.uniform(150, 850, (6, 2))
    place = np.where(
        rng.random((N_CELLS, 1)) < 0.6,
        centres[clump] + rng.normal(0, 60, (N_CELLS, 2)),
        rng.uniform(0, 1000, (N_CELLS, 2)),
    ).clip(0, 1000)
    cells[["y_px", "x_px"]] = place.astype(np.float32)
    cells["guide"] = [f"{g}_{k}" for g, k in zip(gene, number, strict=True)]
    cells["gene"], cells["is_ntc"] = gene, is_ntc
    cells["batch"] = cells["plate"] + "/" + cells["well"]
    cells = cells.sort_values(["plate", "well", "tile"], kind="stable", ignore_index=True)
    names = cells[["plate", "well", "tile"]].astype(str).agg("_".join, axis=1)
    cells.insert(0, "cell_id", names + "_" + cells.index.astype(str))
    return cells


def embeddings_of(cells: pd.DataFrame) -> dict[str, np.ndarray]:
    """Vectors of every cell: ``true`` follows the complexes, the others do not look at cells."""
    rng, n = np.random.default_rng(1), len(cells)

    def of_each(column: str) -> np.ndarray:
        names, number = np.unique(cells[column], return_inverse=True)
        return rng.normal(size=(len(names), DIMENSIONS))[number]

    complexes = cells.assign(complex=cells["gene"].where(cells["is_ntc"], cells["gene"].str[0]))
    names, number = np.unique(complexes["complex"], return_inverse=True)
    effects = rng.normal(0, 0.5, (len(names), DIMENSIONS))
    effects[names == "NTC"] = 0
    density = np.log1p(density_features(cells, np.arange(n)) * np.array([1, 1e4, 1e4]))
    noise = rng.normal(size=(n, DIMENSIONS))
    mixed = np.tanh(density @ rng.normal(size=(3, DIMENSIONS)) / 3)
    return {
        "true": effects[number] + noise,
        "dense": mixed + 0.01 * noise,
        "batched": of_each("batch") + 0.05 * noise,
        "labelled": of_each("guide") + 0.3 * noise,
        "gene_labelled": of_each("gene") + 0.3 * noise,
        # The label in two of ten dimensions: it is little of the variance.
        "hidden": np.hstack([of_each("guide")[:, :2] + 0.05 * noise[:, :2], noise]),
    }


def write_screen(folder: Path) -> Path:
    """Write index, splits, complexes and the embeddings, as the workflow has them."""
    cells = cells_of_screen()
    folder.mkdir(parents=True, exist_ok=True)
    write_parquet(cells, folder / "index.parquet")
    split = np.where(np.random.default_rng(2).random(len(cells)) < 0.5, "train", "test")
    write_parquet(cells[["cell_id"]].assign(split=split), folder / "splits.parquet")
    genes = sorted(set(cells["gene"]) - {"NTC"})
    complexes = pd.DataFrame({"complex": [f"complex {g[0]}" for g in genes], "gene": genes})
    write_parquet(complexes, folder / "complexes.parquet")
    empty = pd.DataFrame({name: pd.Series(dtype=str) for name in ("source", "gene_a", "gene_b")})
    write_parquet(empty, folder / "pairs.parquet")
    for name, vectors in embeddings_of(cells).items():
        columns = {f"z_{k:02d}": column for k, column in enumerate(vectors.T.astype(np.float32))}
        table = pd.DataFrame({"cell_id": cells["cell_id"]} | columns)
        metadata = {"model": name, "seed": "0"}
        write_parquet(table, folder / f"{name}.parquet", metadata)
    return folder
