"""The report's comparison of representations: numbers of held-out cells, best first."""

import numpy as np
import pandas as pd

from mcvae_ops.benchmarks.complexes.complex_retrieval import WITHOUT_LARGEST
from mcvae_ops.benchmarks.estimates.table import OVER_SEEDS
from mcvae_ops.report.representations import comparison

COMPLEXES = pd.DataFrame(
    [
        ("mcvae", 0, "test", 0.30, np.nan, np.nan),
        ("mcvae", 1, "test", 0.10, np.nan, np.nan),
        ("mcvae", OVER_SEEDS, "test", 0.20, 0.05, 0.40),
        ("cellprofiler", 0, "test", 0.25, 0.20, 0.30),
        ("density", 0, "test", 0.03, 0.01, 0.05),
        ("position", 0, "test", 0.27, 0.20, 0.35),
        ("random", 0, "test", 0.90, 0.90, 0.90),
        ("vae", 0, "all", 0.95, 0.90, 0.99),
    ],
    columns=["model", "seed", "cells", "value", "low", "high"],
).assign(protocol="strict", metric="average_precision", space="combined", item="CORUM",
         level=np.nan, n=9)  # fmt: skip


def rows_of(found: dict) -> dict:
    return {
        name: [cell and (cell.value, cell.is_best) for cell in row] for name, row in found["rows"]
    }


def test_the_sentence_names_the_best_the_main_model_and_the_best_shortcut():
    found = comparison({"complexes": COMPLEXES}, "mcvae")
    assert found["words"] == (
        "How well genes of one complex resemble each other (average precision, held-out cells): "
        "best is CellProfiler 0.25 [0.20, 0.30]; mcVAE 0.20 [0.05, 0.40]; no shortcut reaches "
        "more than 0.27."
    )
    assert [head for head, _ in found["heads"]] == ["complexes"]
    assert rows_of(found) == {
        "CellProfiler": [(0.25, True)], "mcVAE": [(0.20, False)], "best shortcut": [(0.27, False)],
    }  # fmt: skip
    assert found["rows"][-1][1][0].interval == "0.20 to 0.35"


def test_a_column_per_question_and_a_gap_where_a_representation_was_not_asked():
    of_vae = COMPLEXES.assign(item=WITHOUT_LARGEST, model="vae", cells="test").iloc[3:4]
    found = comparison({"complexes": pd.concat([COMPLEXES, of_vae])}, "mcvae")
    assert [head for head, _ in found["heads"]] == ["complexes", "without large"]
    assert "without the 5 largest complexes (average precision," in found["heads"][1][1]
    assert rows_of(found)["VAE"] == [None, (0.25, True)]
    assert rows_of(found)["mcVAE"][1] is None and rows_of(found)["best shortcut"][1] is None


def test_without_held_out_cells_all_cells_are_named():
    found = comparison({"complexes": COMPLEXES[COMPLEXES["cells"] == "all"]}, "mcvae")
    assert found["words"].endswith("all cells): best is VAE 0.95 [0.90, 0.99].")
    assert comparison({}, "mcvae") is None
