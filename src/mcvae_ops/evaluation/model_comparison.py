"""What models reach on several screens: estimates, differences between profiles, and aims.

The unit is the screen. An estimate is the mean over screens of the mean over training seeds, its
95 % interval Student's t over the screens; a difference is taken screen by screen first. Every
screen has trainings of its own, so the spread between screens holds that between trainings. With
three screens t is 4.3: the intervals are wide.
"""

import numpy as np
import pandas as pd
from scipy import stats

from mcvae_ops.benchmarks.estimates.table import BETWEEN_0_AND_1
from mcvae_ops.benchmarks.estimates.verdicts import FAILS, HOLDS, IntervalEstimate, missing_estimate
from mcvae_ops.errors import InputError
from mcvae_ops.evaluation.screen_measures import KEYS, MEASURES, OF_TRAINING, PLAIN

COLUMNS = [
    "kind", *KEYS, "against", "value", "low", "high", "n_screens", "n_seeds", "by_screen",
    "verdict",
]  # fmt: skip
BARS = (["factor", "over"], ["at_least"], ["at_most"])  # of an aim
VERDICTS = {HOLDS: "reached", FAILS: "not reached"}


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
    means = groups.agg(value="mean", n_seeds="size").reset_index()
    order = means["model"].drop_duplicates().tolist()
    return means.sort_values("model", key=lambda m: m.map(order.index), kind="stable")


def over_screens(values: pd.Series, what: str) -> IntervalEstimate:
    """Return the mean over screens with Student's 95 % interval; none for a single screen.

    Screens are the units, each with trainings of its own: no number of seeds is asked for.
    """
    if values.empty:
        return missing_estimate(f"no {what}")
    mean, n = float(values.mean()), len(values)
    if n < 2:
        return IntervalEstimate(mean, np.nan, np.nan, np.inf, f"one screen of {what}")
    half = stats.t.ppf(0.975, n - 1) * values.std(ddof=1) / np.sqrt(n)
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
            mine, theirs = measured(means, profiles[ours], measure), measured(means, other, measure)
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
        Keys of the section ``evaluation`` of the configuration.
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


def _row(kind: str, key: dict, against: str, margin: pd.DataFrame) -> dict:
    n_seeds = int(margin["n_seeds"].min()) if len(margin) else 0
    estimate = over_screens(margin["value"], key["measure"])
    verdict = VERDICTS.get(estimate.verdict, estimate.verdict) if kind == "aim" else ""
    shown = [f"{value:.4g}" for value in margin["mine" if "bar" in margin else "value"]]
    if "bar" in margin:
        shown = [f"{value} : {bar:.4g}" for value, bar in zip(shown, margin["bar"], strict=True)]
    by_name = "; ".join(f"{name} {value}" for name, value in zip(margin.index, shown, strict=True))
    values = (
        kind, key["model"], key["space"], key["correction"], key["measure"], against,
        estimate.value, estimate.low, estimate.high, len(margin), n_seeds, by_name, verdict,
    )  # fmt: skip
    return dict(zip(COLUMNS, values, strict=True))


def check_settings(settings: dict) -> None:
    """Raise an `InputError` if an aim names what does not exist, or sets no bar or several."""
    profiles, measures = settings["profiles"], [*MEASURES, *OF_TRAINING]
    named = [("ours", settings["ours"], profiles)]
    named += [("aims", aim["over"], profiles) for aim in settings["aims"] if "over" in aim]
    named += [("aims", aim.get("measure"), measures) for aim in settings["aims"]]
    for key, name, known in named:
        if name not in known:
            raise InputError(
                where=f"configuration key evaluation.{key}",
                found=repr(name),
                expected=f"one of {', '.join(known)}",
                fix="correct it",
            )
    for aim in settings["aims"]:
        if sorted(aim.keys() - {"measure", "space"}) not in BARS:
            raise InputError(
                where="configuration key evaluation.aims",
                found=str(aim),
                expected="over with factor, or at_least, or at_most",
                fix="set one of them",
            )


def compare(values: pd.DataFrame, settings: dict) -> pd.DataFrame:
    """Return the comparison of the models as a table: aims, then estimates, then differences.

    Parameters
    ----------
    values
        `mcvae_ops.evaluation.screen_measures.screen_values` of all screens, with a column screen.
    settings
        Section ``evaluation`` of the configuration: profiles, ours, aims.
    """
    means, profiles, ours = by_screen(values), settings["profiles"], settings["ours"]
    rows = aim_rows(means, profiles, ours, settings["aims"])
    rows += estimate_rows(means) + difference_rows(means, profiles, ours)
    return pd.DataFrame(rows, columns=COLUMNS)
