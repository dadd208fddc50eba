"""Test the claims of the paper (C1 to C7) on the strict rows of the benchmark tables.

C8 and C9 are claims about further models that are compared with the main model: their salient
space retrieves complexes better than the combined space of the main model (C8) and better than
CellProfiler (C9), on held-out cells and on held-out guides.

A claim may have parts (C1a, C1b, ...). It holds if every part holds, and its row repeats its
weakest part. Estimates come from held-out cells where the tables have them; the column cells says
which cells were used. A claim needs two training seeds, because one training says nothing of
another. Each interval is that of a single claim: nothing is corrected for the number of claims,
and the report says so.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from mcvae_ops.benchmarks.estimates.functional_groups import NOVEL, SHIFTING
from mcvae_ops.benchmarks.estimates.table import OVER_SEEDS
from mcvae_ops.benchmarks.estimates.verdicts import (
    IntervalEstimate,
    compared,
    equivalence,
    read_estimate,
    weakest,
)
from mcvae_ops.benchmarks.mitosis.mitotic_factors import HAS_NOISE, HAS_SIGN
from mcvae_ops.embeddings.spaces import UNTRAINED
from mcvae_ops.files import read_frame, write_csv

# "about equal" (C1): within this share of the average precision of CellProfiler
EQUAL_SHARE = 0.1
# "predicts well" (C4): the AUROC from which discrimination is called acceptable
# (Hosmer, Lemeshow & Sturdivant 2013, doi:10.1002/9781118548387)
WELL_PREDICTED = 0.7
# the number of features that the paper quotes (C6)
TOP_FEATURES = 5

COVARIATES = {
    "batch": "batch",
    "position_in_fov": "position in the FOV",
    "position_in_well": "position in the well",
}
AVERAGES = {
    "average_precision": "average precision of pairs",
    "macro_average_precision": "mean average precision over complexes",
}
PRECISION = "average precision of CORUM, over pairs or over complexes, whichever says less"
HELD_OUT = {"test": "held-out cells", "held_out_guide": "held-out guides"}
COLUMNS = [
    "claim", "statement", "estimate", "low", "high", "n_seeds", "cells", "units", "verdict", "how",
]  # fmt: skip


@dataclass(frozen=True)
class Part:
    """One statement of a claim; an estimate above 0 supports it."""

    statement: str
    estimate: IntervalEstimate
    how: str
    comparison: str = ""

    @property
    def verdict(self) -> str:
        """That of the estimate, or how two things compare, where the statement is about that."""
        return self.comparison or self.estimate.verdict


class Tables:
    """The strict rows of all benchmark tables, read for one main model."""

    def __init__(self, rows: pd.DataFrame, main_model: str) -> None:
        self.rows = rows[rows["protocol"] == "strict"]
        self.main_model = main_model

    def find(self, what: str, **where) -> IntervalEstimate:
        """Return the estimate of the rows that match `where`, on held-out cells if possible."""
        rows = self._match(**where)
        return read_estimate(rows, what)

    def _match(self, **where) -> pd.DataFrame:
        rows = self.rows
        for column, value in where.items():
            rows = rows[rows[column] == value]
        if "cells" in where:
            return rows
        held_out = rows[rows["cells"] == "test"]
        return rows[rows["cells"] == "all"] if held_out.empty else held_out

    def precision_gain(
        self, model: str, over: str, over_space: str = "combined", space: str = "combined", **where
    ) -> IntervalEstimate:
        """Return by how much the average precision of `model` exceeds that of `over`.

        The average over all pairs is mostly that of the largest complexes; the average over
        complexes weighs all of them equally. The weaker of the two gains is returned.

        Parameters
        ----------
        model, space
            The profiles that should be better.
        over, over_space
            The profiles that they are compared with.
        where
            Further columns that the rows must match, such as cells.
        """
        return weakest(
            [self.gain(metric, model, over, over_space, space, where) for metric in AVERAGES]
        )

    def gain(
        self, metric: str, model: str, over: str, over_space: str, space: str, where: dict
    ) -> IntervalEstimate:
        """Return the gain in one average alone; see `precision_gain`."""
        what = f"{AVERAGES[metric]} of {model}, {space}, against {over}, {over_space}"
        rows = self._match(
            benchmark="complexes",
            metric=f"{metric}_difference",
            model=model,
            space=space,
            item=over,
            against=over_space,
            seed=OVER_SEEDS,
            **where,
        )
        n_seeds = min(self._n_seeds(name) for name in (model, over) if name not in UNTRAINED)
        return replace(read_estimate(rows, what), n_seeds=n_seeds)

    def average_precision(self, model: str) -> IntervalEstimate:
        """Return the average precision of CORUM pairs in the combined space."""
        return self.find(
            f"average precision of {model}",
            benchmark="complexes",
            model=model,
            space="combined",
            metric="average_precision",
            item="CORUM",
        )

    def auroc(self, model: str, space: str, covariate: str) -> IntervalEstimate:
        """Return the AUROC of a covariate: the batch, or the mean of a position over batches."""
        return self.find(
            f"AUROC of {covariate} from {model} {space}",
            benchmark="covariates",
            model=model,
            space=space,
            metric="auroc",
            item=covariate,
            against="",
        )

    def _n_seeds(self, model: str) -> int:
        rows = self._match(
            benchmark="complexes", model=model, space="combined", metric="average_precision"
        )
        return rows.loc[rows["seed"] != OVER_SEEDS, "seed"].nunique()


def complexes_parts(tables: Tables) -> dict[str, list[Part]]:
    """Return C1, C2 and C3: average precision of CORUM pairs."""
    main = tables.main_model
    how = f"{PRECISION}, {{}}"

    def gain(model: str, over: str, over_space: str = "combined") -> Part:
        names = (model, over)
        if over_space != "combined":
            names = (f"{model} combined", f"{over} {over_space}")
        estimate = tables.precision_gain(model, over, over_space)
        return Part(f"{names[0]} > {names[1]}", estimate, how.format(" minus ".join(names)))

    margin = EQUAL_SHARE * tables.average_precision("cellprofiler").value
    gain_over = tables.gain("average_precision", main, "cellprofiler", "combined", "combined", {})
    equal = Part(
        f"{main} is about CellProfiler",
        equivalence(gain_over, margin),
        f"{EQUAL_SHARE:.0%} of the average precision of CellProfiler ({margin:.3g}) minus the "
        "distance between the two",
        compared(gain_over, margin),
    )
    priors = ("cvae_prior_s", "cvae_prior_z")
    return {
        "C1": [gain("cvae", "vae"), gain(main, "cvae"), equal],
        "C2": [gain(main, main, "salient"), gain(main, main, "background")],
        "C3": [part for p in priors for part in (gain(p, "cvae"), gain(main, p))],
    }


def compared_parts(tables: Tables, compared: list[str]) -> dict[str, list[Part]]:
    """Return C8 and C9: each compared model against the main model and against CellProfiler."""
    how = f"{PRECISION}, salient space minus combined space of {{}}, {{}}"
    others = {
        "C8": (tables.main_model, tables.main_model),
        "C9": ("cellprofiler", "CellProfiler"),
    }
    return {
        claim: [
            Part(
                f"{model} salient > {name} on {cells_name}",
                tables.precision_gain(model, over, space="salient", cells=cells),
                how.format(name, cells_name),
            )
            for model in compared
            for cells, cells_name in HELD_OUT.items()
        ]
        for claim, (over, name) in others.items()
        if compared
    }


def covariates_parts(tables: Tables) -> list[Part]:
    """Return C4: technical covariates predicted from NTC cells."""
    main = tables.main_model
    others = ((main, "combined"), ("cellprofiler", "combined"))
    how = (
        "smallest AUROC of background, combined and CellProfiler, minus that of salient; draws are "
        "paired by batch or tile for background and salient only"
    )
    parts = []
    for covariate, name in COVARIATES.items():
        salient = tables.auroc(main, "salient", covariate)
        paired = tables.find(
            f"AUROC difference of {covariate}",
            benchmark="covariates",
            model=main,
            metric="auroc_difference",
            item=covariate,
            against="",
        )
        margins = [paired, *(tables.auroc(*other, covariate) - salient for other in others)]
        parts.append(Part(f"salient predicts {name} worst", weakest(margins), how))
    for model, space in ((main, "background"), ("cellprofiler", "combined")):
        for covariate in ("position_in_fov", "position_in_well"):
            name = space if model != "cellprofiler" else "CellProfiler"
            area, density = (
                tables.auroc(*key, covariate) for key in ((model, space), ("", "density"))
            )
            parts.append(
                Part(
                    f"{name} predicts {COVARIATES[covariate]} well",
                    weakest([area - WELL_PREDICTED, area - density]),
                    f"AUROC minus {WELL_PREDICTED}, or minus that of the density of cells alone, "
                    "whichever says less",
                )
            )
    return parts


def functions_parts(tables: Tables, shifting: list[str], novel: list[str]) -> list[Part]:
    """Return C5: recall of functional groups."""
    difference = {
        group_class: tables.find(
            f"recall of {group_class}",
            benchmark="functions",
            model=tables.main_model,
            metric="mean_recall_difference",
            item=group_class,
        )
        for group_class in (SHIFTING, NOVEL)
    }
    how = "mean recall, {}, cross-validated by gene"
    return [
        Part(
            f"{_names(shifting)} (existing states shifted): recalled better from background",
            difference[SHIFTING],
            how.format("background minus salient"),
        ),
        Part(
            f"{_names(novel)} (novel phenotypes): recalled better from salient",
            -difference[NOVEL],
            how.format("salient minus background"),
        ),
    ]


def _names(groups: list[str]) -> str:
    """Return the name of the first group and the number of the other groups."""
    others = len(groups) - 1
    if not groups:
        return "no group"
    return groups[0] + (f" and {others} other group{'s' * (others > 1)}" if others else "")


def features_part(tables: Tables, shifting: list[str], novel: list[str]) -> Part:
    """Return C6: what the top features of both classes of groups explain of NTC cells."""
    difference = tables.find(
        "R2 of both classes of groups",
        benchmark="features",
        metric="r2_difference",
        item=SHIFTING,
        against=NOVEL,
        level=float(TOP_FEATURES),
    )
    return Part(
        f"the top features of {_names(shifting)} explain more of NTC PC1 than those of "
        f"{_names(novel)}",
        difference,
        f"R2 of {TOP_FEATURES} features on held-out batches, mean over the former minus mean over "
        f"the latter groups; {_left_out(tables, [*shifting, *novel])}",
    )


def _left_out(tables: Tables, groups: list[str]) -> str:
    """Say which groups do not count, as fewer of their features are significant."""
    rows = tables.rows[(tables.rows["metric"] == "r2") & (tables.rows["level"] == TOP_FEATURES)]
    absent = [group for group in groups if group not in set(rows["item"])]
    return f"without {', '.join(absent)} (too few significant features)" if absent else "all groups"


def mitosis_part(tables: Tables) -> Part:
    """Return C7: which score finds mitotic factors better."""
    difference = tables.find(
        "AUROC difference",
        benchmark="mitosis",
        model=tables.main_model,
        metric="auroc_difference",
        against="",
    )
    said = {
        HAS_SIGN: "; the index of this table has no sign",
        HAS_NOISE: "; the norms of this table hold the noise of few cells",
    }
    is_false = set(tables.rows.loc[tables.rows["value"] == 0, "metric"])
    words = "".join(words for metric, words in said.items() if metric in is_false)
    return Part(
        "the relative background norm beats the mitotic index",
        difference,
        "AUROC of mitotic factors among significant genes, B/(S+B) minus mitotic index of the same "
        f"cells{words}",
    )


def claim_rows(
    rows: pd.DataFrame,
    main_model: str,
    compared_models: list[str],
    shifting: list[str],
    novel: list[str],
) -> pd.DataFrame:
    """Return the table of claims; C8 and C9 only where there are models to compare.

    Parameters
    ----------
    rows
        The rows of all benchmark tables.
    main_model
        The model that the paper calls mcVAE.
    compared_models
        Further models with a salient space that are compared with the main model.
    shifting, novel
        Groups that shift existing states, and groups with novel phenotypes.
    """
    tables = Tables(rows, main_model)
    claims = complexes_parts(tables) | {
        "C4": covariates_parts(tables),
        "C5": functions_parts(tables, shifting, novel),
        "C6": [features_part(tables, shifting, novel)],
        "C7": [mitosis_part(tables)],
        **compared_parts(tables, compared_models),
    }
    return pd.DataFrame(
        [row for name, parts in claims.items() for row in _rows(name, parts)], columns=COLUMNS
    )


def _rows(claim: str, parts: list[Part]) -> Iterator[dict]:
    if len(parts) == 1:
        yield _row(claim, parts[0].statement, parts[0].estimate, parts[0].verdict, parts[0].how)
        return
    least = weakest([part.estimate for part in parts])
    decisive = next(part for part in parts if part.estimate is least)
    letters = {id(part): f"{claim}{chr(ord('a') + k)}" for k, part in enumerate(parts)}
    how = f"weakest part, {letters[id(decisive)]}: {decisive.how}"
    yield _row(claim, "; ".join(part.statement for part in parts), least, least.verdict, how)
    for part in parts:
        yield _row(letters[id(part)], part.statement, part.estimate, part.verdict, part.how)


def _row(claim: str, statement: str, estimate: IntervalEstimate, verdict: str, how: str) -> dict:
    return {
        "claim": claim,
        "statement": statement,
        "estimate": estimate.value,
        "low": estimate.low,
        "high": estimate.high,
        # Infinite: no model of the estimate was trained.
        "n_seeds": estimate.n_seeds if np.isfinite(estimate.n_seeds) else np.nan,
        "cells": estimate.cells,
        "units": estimate.units,
        "verdict": verdict,
        "how": f"{estimate.reason} ({how})" if estimate.reason else how,
    }


def claims(
    tables: list[str],
    main_model: str,
    compared_models: list[str],
    shifting_groups: list[str],
    novel_groups: list[str],
    claims: str,
) -> None:
    """Write the table of claims with estimates, 95 % intervals and verdicts.

    Parameters
    ----------
    tables
        Benchmark tables; a claim whose table is missing is not tested.
    main_model, compared_models, shifting_groups, novel_groups
        As in `claim_rows`.
    claims
        Output: tab-separated text.
    """
    rows = pd.concat([read_frame(path) for path in tables], ignore_index=True)
    table = claim_rows(rows, main_model, compared_models, shifting_groups, novel_groups)
    write_csv(table, claims, "%.4g")
