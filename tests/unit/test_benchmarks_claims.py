"""Claims: verdicts follow the intervals, parts combine, what is missing is said."""

import numpy as np
import pandas as pd
import pytest

from mcvae_ops.benchmarks.claims import claim_rows, claims
from mcvae_ops.benchmarks.estimates import table
from mcvae_ops.benchmarks.estimates.functional_groups import NOVEL, SHIFTING
from mcvae_ops.benchmarks.estimates.verdicts import (
    IntervalEstimate,
    compared,
    equivalence,
    missing_estimate,
    read_estimate,
    weakest,
)

SAME = {"protocol": "strict", "cells": "test", "n": 10}


def seeds_frame(values, half=0.1):
    values = np.asarray(values, float)
    seeds = range(len(values))
    return pd.DataFrame(
        {"seed": seeds, "value": values, "low": values - half, "high": values + half}
    )


def folded(frame, **changes):
    named = {"benchmark": "mitosis", "model": "mcvae", "space": "combined", "metric": "auroc"}
    rows = [table.row(**SAME | named | one | changes) for one in frame.to_dict("records")]
    return table.with_seeds_folded(table.to_frame(rows))


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(0.1, 0.3, "holds"), (-0.3, -0.1, "does not hold"), (-0.1, 0.3, "undecided"),
     (np.nan, np.nan, "not tested"), (0.2, 0.2, "undecided")],
)  # fmt: skip
def test_verdict_follows_the_interval(low, high, verdict):
    assert IntervalEstimate((low + high) / 2, low, high, 3).verdict == verdict


def test_one_seed_keeps_its_own_interval_and_several_widen_it():
    one = read_estimate(folded(seeds_frame([0.5])), "x")
    assert (one.low, one.high, one.n_seeds) == (pytest.approx(0.4), pytest.approx(0.6), 1)
    three = read_estimate(folded(seeds_frame([0.4, 0.5, 0.6])), "x")
    assert three.n_seeds == 3
    half = np.hypot(0.1, 4.302653 * 0.1 / np.sqrt(3))
    assert three.value == pytest.approx(0.5)
    assert (three.low, three.high) == (pytest.approx(0.5 - half), pytest.approx(0.5 + half))
    assert read_estimate(folded(seeds_frame([])), "x").missing == "no x"
    assert read_estimate(folded(seeds_frame([0.5], np.nan)), "x").missing == "no interval of x"


def test_alike_estimates_share_the_spread_between_seeds():
    first = seeds_frame([0.4, 0.5, 0.6]).assign(model="mcvae", metric="auroc")
    other = seeds_frame([0.2, 0.2, 0.2]).assign(model="vae", metric="auroc")
    rows = folded(pd.concat([first, other]))
    rows = rows[rows["seed"] == table.OVER_SEEDS].set_index("model")
    spread = np.sqrt(0.02 / 4)  # squares 0.02 and 0 with two degrees of freedom each
    half = np.hypot(0.1, 2.776445 * spread / np.sqrt(3))
    np.testing.assert_allclose(rows["high"] - rows["value"], half, rtol=1e-6)
    assert rows["value"].to_dict() == pytest.approx({"mcvae": 0.5, "vae": 0.2})
    elsewhere = folded(pd.concat([first, other.assign(metric="recall")]))
    alone = elsewhere[(elsewhere["seed"] == table.OVER_SEEDS) & (elsewhere["model"] == "vae")]
    assert (alone["high"] - alone["value"]).item() == pytest.approx(0.1)


def test_a_share_stays_between_0_and_1_and_a_difference_above_minus_1():
    spread = seeds_frame([0.5, 0.99])
    for metric, least in (("auroc", 0), ("auroc_difference", -1)):
        rows = folded(spread, metric=metric)
        over = rows[rows["seed"] == table.OVER_SEEDS].iloc[0]
        assert (over["low"], over["high"]) == (least, 1)


def test_the_published_protocol_is_left_as_it_is():
    rows = folded(seeds_frame([0.4, 0.5, 0.6]), protocol="published")
    assert (rows["seed"] >= 0).all()


def test_independent_differences_add_in_quadrature():
    difference = IntervalEstimate(1, 0.7, 1.3, 3) - IntervalEstimate(0.5, 0.1, 0.9, 2)
    assert difference.value == 0.5
    assert (difference.low, difference.high) == (pytest.approx(0), pytest.approx(1))
    assert difference.n_seeds == 2


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(-0.05, 0.08, "holds"), (-0.05, 0.2, "undecided"), (0.12, 0.2, "does not hold"),
     (-0.4, -0.2, "does not hold")],
)  # fmt: skip
def test_about_equal_needs_the_whole_interval_within_the_margin(low, high, verdict):
    assert equivalence(IntervalEstimate((low + high) / 2, low, high, 2), 0.1).verdict == verdict


@pytest.mark.parametrize(
    ("low", "high", "word"),
    [(-0.05, 0.08, "about"), (0.05, 0.2, "better"), (-0.4, -0.2, "worse"),
     (-0.05, 0.2, "undecided"), (np.nan, np.nan, "not tested")],
)  # fmt: skip
def test_two_models_are_better_about_or_worse(low, high, word):
    assert compared(IntervalEstimate((low + high) / 2, low, high, 2), 0.1) == word


def test_one_training_gives_no_verdict_and_none_is_needed_where_nothing_is_trained():
    one = IntervalEstimate(2, 1, 3, 1)
    assert one.verdict == "undecided" and one.reason.startswith("one training seed")
    assert IntervalEstimate(2, 1, 3, np.inf).verdict == "holds"
    untrained = folded(seeds_frame([0.5]), model="cellprofiler")
    assert read_estimate(untrained, "x").verdict == "holds"


def test_the_weakest_part_decides():
    good, open_, bad = (
        IntervalEstimate(2, 1, 3, 2),
        IntervalEstimate(0, -1, 1, 2),
        IntervalEstimate(-2, -3, -1, 2),
    )
    assert weakest([good, open_]) is open_
    assert weakest([good, open_, bad, missing_estimate("x")]) is bad
    assert weakest([good, missing_estimate("x")]).verdict == "not tested"


def planted_rows(sign=1):
    """Rows of all tables in which every claim holds (sign 1) or none does (sign -1)."""
    rows = []

    def add(benchmark, metric, value, seed=0, half=0.01, **where):
        where = {"model": "mcvae", "space": "combined"} | where
        rows.append(
            table.row(
                benchmark=benchmark, metric=metric, seed=seed, value=value,
                low=value - half, high=value + half, **SAME, **where,
            )
        )  # fmt: skip

    models = ("vae", "cvae", "cvae_prior_s", "cvae_prior_z", "mcvae")
    for model in (*models, "cellprofiler"):
        for seed in (0, 1, 2) if model != "cellprofiler" else (0,):
            add("complexes", "average_precision", 0.5, seed, model=model, item="CORUM")
            add("complexes", "average_precision", 0.9, seed, model=model, item="STRING")

    def gain(model, other, space="combined", value=0.1):
        for metric in ("average_precision", "macro_average_precision"):
            add(
                "complexes", f"{metric}_difference", sign * value, table.OVER_SEEDS,
                model=model, item=other, against=space,
            )  # fmt: skip

    for model, other in (("cvae", "vae"), ("mcvae", "cvae")):
        gain(model, other)
    gain("mcvae", "cellprofiler", value=0.01 if sign > 0 else 0.2)
    for prior in ("cvae_prior_s", "cvae_prior_z"):
        gain(prior, "cvae")
        gain("mcvae", prior)
    for space in ("salient", "background"):
        gain("mcvae", "mcvae", space)
    for covariate in ("batch", "position_in_fov", "position_in_well"):
        for model, space, auroc in (
            ("mcvae", "salient", 0.6),
            ("mcvae", "background", 0.6 + sign * 0.2),
            ("mcvae", "combined", 0.6 + sign * 0.21),
            ("cellprofiler", "combined", 0.6 + sign * 0.22),
        ):
            for seed in (0, 1):
                add("covariates", "auroc", auroc, seed, model=model, space=space, item=covariate)
        add("covariates", "auroc", 0.65, model="", space="density", item=covariate)
        for seed in (0, 1):
            add(
                "covariates", "auroc_difference", sign * 0.2, seed, space="background-salient",
                item=covariate,
            )  # fmt: skip
    for kind, value in ((SHIFTING, sign * 0.3), (NOVEL, -sign * 0.3)):
        for seed in (0, 1):
            add(
                "functions", "mean_recall_difference", value, seed, space="background-salient",
                item=kind,
            )  # fmt: skip
        add("functions", "recall_difference", 0.0, space="background-salient", item=kind[0])
    for level, value in ((5, sign * 0.3), (6, 0.0)):
        add(
            "features", "r2_difference", value, model="cellprofiler", space="features",
            item=SHIFTING, against=NOVEL, level=level,
        )  # fmt: skip
    for seed in (0, 1, 2):
        add("mitosis", "auroc_difference", sign * 0.2, seed)
        add("mitosis", "auroc_difference", -sign * 0.2, seed, against="threshold x 0.75")
    return table.with_seeds_folded(table.to_frame(rows))


@pytest.mark.parametrize(("sign", "verdict"), [(1, "holds"), (-1, "does not hold")])
def test_planted_claims(sign, verdict):
    found = claim_rows(planted_rows(sign), "mcvae", [], ["actin"], ["tubulin"]).set_index("claim")
    whole = found[found.index.str.len() == 2]
    assert whole.index.tolist() == ["C1", "C2", "C3", "C4", "C5", "C6", "C7"]
    assert (whole["verdict"] == verdict).all()
    assert whole.loc[["C1", "C2", "C3", "C7"], "n_seeds"].tolist() == [3, 3, 3, 3]
    assert found.loc["C1c", "statement"] == "mcvae is about CellProfiler"


def compared_rows(**gains):
    """Rows of a model dcvae: by cells, its gain over mcvae and over CellProfiler."""
    found, rows = planted_rows(), []
    for cells, gain in gains.items():
        where = SAME | {"cells": cells, "benchmark": "complexes", "model": "dcvae"}
        for other, value in zip(("mcvae", "cellprofiler"), gain, strict=True):
            for space, more in (("salient", 0), ("combined", -1)):
                for metric in ("average_precision", "macro_average_precision"):
                    rows.append(
                        table.row(
                            **where, metric=f"{metric}_difference", seed=table.OVER_SEEDS,
                            space=space, item=other, against="combined", value=value + more,
                            low=value + more - 0.05, high=value + more + 0.05,
                        )
                    )  # fmt: skip
    where = SAME | {"benchmark": "complexes", "model": "dcvae", "space": "combined"}
    for seed in range(3):
        rows.append(
            table.row(**where, metric="average_precision", seed=seed, item="CORUM", value=0.6)
        )
    return pd.concat([found, table.to_frame(rows)])


def test_a_compared_model_is_tested_on_held_out_cells_and_guides():
    rows = compared_rows(test=(0.3, 0.2), held_out_guide=(0.2, -0.3), all=(-1, -1))
    found = claim_rows(rows, "mcvae", ["dcvae"], ["actin"], ["tubulin"]).set_index("claim")
    assert found.loc[["C8", "C9"], "verdict"].tolist() == ["holds", "does not hold"]
    assert found.loc["C8", ["estimate", "n_seeds"]].tolist() == [0.2, 3]  # the weaker of both
    assert found.loc["C8a", "statement"] == "dcvae salient > mcvae on held-out cells"
    assert found.loc["C9b", "statement"] == "dcvae salient > CellProfiler on held-out guides"
    assert found.loc["C9a", "verdict"] == "holds"
    none = claim_rows(rows, "mcvae", [], ["actin"], ["tubulin"])
    pd.testing.assert_frame_equal(none, found.iloc[:-6].reset_index())


def test_without_held_out_guides_a_compared_model_is_not_tested():
    rows = compared_rows(test=(0.3, 0.2))
    found = claim_rows(rows, "mcvae", ["dcvae"], ["actin"], ["tubulin"]).set_index("claim")
    assert found.loc[["C8", "C8a", "C8b"], "verdict"].tolist() == [
        "not tested",
        "holds",
        "not tested",
    ]
    assert found.loc["C8b", "how"].startswith(
        "no average precision of pairs of dcvae, salient, against mcvae"
    )


def test_one_failing_part_fails_the_claim():
    rows = planted_rows()
    wrong = (rows["metric"] == "mean_recall_difference") & (rows["item"] == NOVEL)
    rows.loc[wrong, ["value", "low", "high"]] = [0.3, 0.2, 0.4]
    found = claim_rows(rows, "mcvae", [], ["actin"], ["tubulin"]).set_index("claim")["verdict"]
    assert (found["C5"], found["C5a"], found["C5b"]) == ("does not hold", "holds", "does not hold")


def test_published_rows_are_no_evidence():
    rows = planted_rows().assign(protocol="published")
    found = claim_rows(rows, "mcvae", [], ["actin"], ["tubulin"])
    assert (found["verdict"] == "not tested").all()


def test_cells_that_were_held_out_come_first():
    rows = planted_rows()
    doubled = pd.concat([rows, planted_rows(-1).assign(cells="all")])
    found = claim_rows(doubled, "mcvae", [], ["actin"], ["tubulin"]).set_index("claim")["verdict"]
    assert (found.drop("C1c") == "holds").all() and found["C1c"] == "about"


def test_a_missing_table_leaves_its_claims_not_tested_with_the_reason(tmp_path):
    rows = planted_rows()
    rows = rows[(rows["benchmark"] == "mitosis") & (rows["seed"] != table.OVER_SEEDS)]
    table.write(rows.to_dict("records"), tmp_path / "m.parquet")
    claims(
        [str(tmp_path / "m.parquet")], "mcvae", [], ["actin"], ["tubulin"], str(tmp_path / "c.tsv")
    )
    found = pd.read_csv(tmp_path / "c.tsv", sep="\t").set_index("claim")
    assert found.loc["C7", "verdict"] == "holds"
    assert (found.drop(index="C7")["verdict"] == "not tested").all()
    assert found.loc["C6", "how"].startswith("no R2 of both classes")
    assert found["estimate"].drop(index="C7").isna().all()


def test_table_refuses_an_unknown_protocol():
    with pytest.raises(ValueError, match="protocol"):
        table.row(
            benchmark="b", protocol="loose", model="m", space="s", seed=0, cells="all",
            metric="x", value=0, n=0,
        )  # fmt: skip
