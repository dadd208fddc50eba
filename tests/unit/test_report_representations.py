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
         level=np.nan, n=9, benchmark="complexes", against="")  # fmt: skip


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
    assert found["rows"][-1][1][0].interval == "0.20\xa0to 0.35"


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


def difference(model: str, over: str, value: float, low: float, high: float) -> dict:
    return {"benchmark": "complexes", "metric": "average_precision_difference", "model": model,
            "item": over, "against": "combined", "seed": OVER_SEEDS, "value": value, "low": low,
            "high": high}  # fmt: skip


def test_what_labels_priors_and_cellprofiler_do_is_said_with_its_interval():
    scores = pd.concat([COMPLEXES.replace("mcvae", name) for name in ("mcvae", "cvae", "vae")])
    gains = [
        difference("cvae", "vae", 0.04, -0.01, 0.10),
        difference("mcvae", "cvae", 0.07, 0.02, 0.11),
        difference("cellprofiler", "mcvae", -0.08, -0.18, -0.02),
    ]
    table = pd.concat([scores, pd.DataFrame(gains)])
    table = table.assign(protocol="strict", space="combined", cells="test", units="9 clusters")
    assert comparison({"complexes": table}, "mcvae")["gains"] == [
        "Labels (perturbed or NTC) are not certain to help: cVAE minus VAE +0.04 [−0.01, +0.10].",
        "Priors for each gene help: mcVAE minus cVAE +0.07 [+0.02, +0.11].",
        "CellProfiler is worse: CellProfiler minus mcVAE −0.08 [−0.18, −0.02].",
    ]
    one = table[table["seed"] != 1]  # one training says nothing of another
    found = comparison({"complexes": one}, "mcvae")["gains"]
    assert [" not certain to " in gain for gain in found] == [True] * 3
    assert len(comparison({"complexes": table}, "cvae")["gains"]) == 1
    assert comparison({"complexes": table}, "random")["gains"] == []
