"""What models reach on several screens: estimates, differences between profiles, and aims.

The unit is the screen. An estimate is the mean over screens of the mean over training seeds, its
95 % interval Student's t over the screens; a difference is taken screen by screen first. Every
screen has trainings of its own, so the spread between screens holds that between trainings. With
three screens t is 4.3: the intervals are wide.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from mcvae_ops.benchmarks.complexes.complex_retrieval import COMPLEXES
from mcvae_ops.benchmarks.estimates.functional_groups import NOVEL, SHIFTING
from mcvae_ops.benchmarks.estimates.table import BETWEEN_0_AND_1, OVER_SEEDS
from mcvae_ops.benchmarks.estimates.verdicts import FAILS, HOLDS, IntervalEstimate, missing_estimate
from mcvae_ops.benchmarks.mitosis.group_auroc import METRIC as GROUP_AUROC
from mcvae_ops.benchmarks.mitosis.mitotic_factors import SCORES
from mcvae_ops.errors import InputError

PLAIN = "none"  # no correction
KEYS = ["model", "space", "correction", "measure"]
COLUMNS = [
    "kind", *KEYS, "against", "value", "low", "high", "n_screens", "n_seeds", "by_screen",
    "verdict",
]  # fmt: skip
VERDICTS = {HOLDS: "reached", FAILS: "not reached"}


@dataclass(frozen=True)
class Measure:
    """Where a measure stands in the benchmark tables (strict rows).

    Measures without a space compare the spaces of a model: they are the model's, not a profile's.
    """

    table: str
    metric: str
    cells: str
    item: str = ""
    against: str = ""
    has_space: bool = True


MEASURES = {
    **{
        f"complexes_{cells}": Measure("complexes", "average_precision", cells, COMPLEXES)
        for cells in ("test", "held_out_guide", "held_out_gene", "train", "all")
    },
    "macro_recall": Measure("functions", "macro_recall", "test"),
    **{
        covariate: Measure("covariates", "auroc", "test", covariate)
        for covariate in ("batch", "position_in_fov", "position_in_well")
    },
    "group_auroc": Measure("mitosis", GROUP_AUROC, "test", SHIFTING, NOVEL, has_space=False),
    "fig5c_difference": Measure(
        "mitosis", "auroc_difference", "test", "-".join(SCORES), has_space=False
    ),
}
OF_TRAINING = (
    "nats_without_s", "negative_log_likelihood", "cells_per_s", "cells_seen", "n_parameters",
)  # fmt: skip


def screen_values(tables: dict[str, pd.DataFrame], trainings: pd.DataFrame) -> pd.DataFrame:
    """Return every measure of one screen, by training seed.

    Parameters
    ----------
    tables
        The benchmark tables complexes, functions, covariates, mitosis, corrections.
    trainings
        model, seed and `OF_TRAINING`, one row per training.

    Returns
    -------
    Columns model, space, correction, measure, seed, value. Complexes have rows for each correction
    of the profiles; space and correction of what belongs to a model are empty.
    """
    parts = []
    for name, measure in MEASURES.items():
        rows = _matching(tables[measure.table], measure, measure.item, measure.against)
        parts.append(rows.assign(measure=name, correction=PLAIN if measure.has_space else ""))
        if not measure.has_space:
            parts[-1]["space"] = ""
        if measure.item == COMPLEXES:
            of_corrections = tables["corrections"]
            for correction in sorted(set(of_corrections["item"]) - {PLAIN}):
                rows = _matching(of_corrections, measure, correction, "")
                parts.append(rows.assign(measure=name, correction=correction))
    of_models = trainings.melt(["model", "seed"], list(OF_TRAINING), "measure")
    parts.append(of_models.assign(space="", correction=""))
    values = pd.concat(parts, ignore_index=True)[[*KEYS, "seed", "value"]]
    return values[np.isfinite(values["value"].astype(float))].reset_index(drop=True)


def _matching(table: pd.DataFrame, measure: Measure, item: str, against: str) -> pd.DataFrame:
    """Return the rows of a measure that belong to a training, not to a baseline without a model."""
    chosen = (table["protocol"] == "strict") & (table["seed"] != OVER_SEEDS)
    chosen &= (table["model"] != "") & (table["cells"] == measure.cells)
    chosen &= (table["metric"] == measure.metric) & (table["item"] == item)
    return table[chosen & (table["against"] == against)]


def by_screen(values: pd.DataFrame) -> pd.DataFrame:
    """Return value (mean over seeds) and n_seeds of each measure on each screen.

    Parameters
    ----------
    values
        `screen_values` of all screens, with a column screen.

    Returns
    -------
    Columns model, space, correction, measure, screen, value, n_seeds; the rows of a model lie
    together, models in order of first appearance.
    """
    groups = values.groupby([*KEYS, "screen"], sort=False)["value"]
    found = groups.agg(value="mean", n_seeds="size").reset_index()
    order = found["model"].drop_duplicates().tolist()
    return found.sort_values("model", key=lambda m: m.map(order.index), kind="stable")


def over_screens(each: pd.Series, what: str) -> IntervalEstimate:
    """Return the mean over screens with Student's 95 % interval; none for a single screen.

    Screens are the units, each with trainings of its own: no number of seeds is asked for.
    """
    if each.empty:
        return missing_estimate(f"no {what}")
    mean, n = float(each.mean()), len(each)
    if n < 2:
        return IntervalEstimate(mean, np.nan, np.nan, np.inf, f"one screen of {what}")
    half = stats.t.ppf(0.975, n - 1) * each.std(ddof=1) / np.sqrt(n)
    return IntervalEstimate(mean, mean - half, mean + half, np.inf)


def measured(means: pd.DataFrame, profile: dict, measure: str) -> pd.DataFrame:
    """Return value and n_seeds of a profile on each screen, indexed by screen; perhaps empty.

    Parameters
    ----------
    means
        `by_screen`.
    profile
        model, space, correction; only the model counts for what belongs to a model.
    measure
        A key of `MEASURES`, or one of `OF_TRAINING`.
    """
    has_space = measure in MEASURES and MEASURES[measure].has_space
    place = (profile["space"], profile["correction"]) if has_space else ("", "")
    chosen = means[KEYS].eq([profile["model"], *place, measure]).all(axis=1)
    return means[chosen].set_index("screen")[["value", "n_seeds"]]


def estimate_rows(means: pd.DataFrame) -> list[dict]:
    """Return one row for each measure of each profile and model."""
    rows = [
        _row("estimate", dict(zip(KEYS, key, strict=True)), "", group.set_index("screen"))
        for key, group in means.groupby(KEYS, sort=False)
    ]
    for row in rows:
        measure = MEASURES.get(row["measure"])
        if measure is not None and measure.metric in BETWEEN_0_AND_1:
            row["low"], row["high"] = np.clip([row["low"], row["high"]], 0, 1)
    return rows


def difference_rows(means: pd.DataFrame, profiles: dict, ours: str) -> list[dict]:
    """Return by how much our profile exceeds each other one, in every measure that both have."""
    rows = []
    for name, other in profiles.items():
        for measure in [*MEASURES, *OF_TRAINING] if name != ours else []:
            mine, theirs = (measured(means, one, measure) for one in (profiles[ours], other))
            paired = _against(mine, theirs["value"])
            if len(paired):
                rows.append(_row("difference", profiles[ours] | {"measure": measure}, name, paired))
    return rows


def aim_rows(means: pd.DataFrame, profiles: dict, ours: str, aims: list[dict]) -> list[dict]:
    """Return how far our profile is beyond each aim: reached, not reached, or undecided.

    Parameters
    ----------
    means
        `by_screen`.
    profiles, ours, aims
        See config/judge/judgement.yaml.
    """
    rows = []
    for aim in aims:
        profile = profiles[ours]
        if "space" in aim:
            profile = profile | {"space": aim["space"], "correction": PLAIN}
        mine, measure = measured(means, profile, aim["measure"]), aim["measure"]
        if "over" in aim:
            against = f"{aim['factor']:g} x {aim['over']}"
            theirs = measured(means, profiles[aim["over"]], measure)
            margin = _against(mine, aim["factor"] * theirs["value"])
        elif "at_least" in aim:
            against = f"at least {aim['at_least']:g}"
            margin = _against(mine, pd.Series(aim["at_least"], mine.index))
        else:
            against = f"at most {aim['at_most']:g}"
            margin = _against(mine, pd.Series(aim["at_most"], mine.index))
            margin["value"] = -margin["value"]
        rows.append(_row("aim", profile | {"measure": measure}, against, margin))
    return rows


def _against(mine: pd.DataFrame, bar: pd.Series) -> pd.DataFrame:
    """Return value (mine minus the bar), n_seeds and the bar, on the screens that have both."""
    both = mine.join(bar.rename("bar"), how="inner")
    return both.assign(value=both["value"] - both["bar"], mine=both["value"])


def _row(kind: str, key: dict, against: str, each: pd.DataFrame) -> dict:
    n_seeds = int(each["n_seeds"].min()) if len(each) else 0
    found = over_screens(each["value"], key["measure"])
    verdict = VERDICTS.get(found.verdict, found.verdict) if kind == "aim" else ""
    shown = [f"{value:.4g}" for value in each["mine" if "bar" in each else "value"]]
    if "bar" in each:
        shown = [f"{one} : {bar:.4g}" for one, bar in zip(shown, each["bar"], strict=True)]
    by_name = "; ".join(f"{name} {one}" for name, one in zip(each.index, shown, strict=True))
    values = (
        kind, key["model"], key["space"], key["correction"], key["measure"], against,
        found.value, found.low, found.high, len(each), n_seeds, by_name, verdict,
    )  # fmt: skip
    return dict(zip(COLUMNS, values, strict=True))


def check_settings(settings: dict, where: str) -> None:
    """Raise InputError if an aim names a profile or a measure that is not there."""
    profiles, measures = settings["profiles"], [*MEASURES, *OF_TRAINING]
    named = [("ours", settings["ours"], profiles)]
    named += [("aims", aim["over"], profiles) for aim in settings["aims"] if "over" in aim]
    named += [("aims", aim["measure"], measures) for aim in settings["aims"]]
    for key, name, known in named:
        if name not in known:
            raise InputError(
                where=f"{where}, {key}",
                found=repr(name),
                expected=f"one of {', '.join(known)}",
                fix="correct it",
            )


def judge(values: pd.DataFrame, settings: dict) -> pd.DataFrame:
    """Return the table of the judgement: aims, then estimates, then differences.

    Parameters
    ----------
    values
        `screen_values` of all screens, with a column screen.
    settings
        As config/judge/judgement.yaml: profiles, ours, aims.
    """
    means, profiles, ours = by_screen(values), settings["profiles"], settings["ours"]
    rows = aim_rows(means, profiles, ours, settings["aims"])
    rows += estimate_rows(means) + difference_rows(means, profiles, ours)
    return pd.DataFrame(rows, columns=COLUMNS)
