"""How often p values are small where nothing is there, and how often intervals cover the truth."""

from collections.abc import Iterable

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from tests.calibration.cases import Case

IN_DOUBT, MORE = "in doubt", 4  # times as many worlds where the first leave a row in doubt
GOALS = {
    "p < .05": (0.03, 0.07),
    "p < .01": (0.004, 0.02),
    "covers": (0.92, 0.98),
    "holds": (0.87, 0.95),  # a set at 90 %: finite samples make it larger, not smaller
}
MOST_FALSE = 0.07  # share of false discoveries at q < .05, mean over worlds
DOUBT = 1e-3  # a case fails where chance alone would miss the goal so far less often than this


def measure(case: Case, worlds: int) -> list[dict]:
    """Return one row per number that the case's goal is about."""
    return _rows(case, _run(case, range(worlds)))


def _run(case: Case, seeds: range) -> list[list]:
    return [case.run(seed) for seed in seeds]


def _rows(case: Case, found: list[list]) -> list[dict]:
    """Return the rows of a case, from what each of its worlds gave."""
    if case.kind == "p":
        p_values = np.concatenate(found)
        return [
            _row(case, "p value", f"p < .{limit[2:]}", p_values < float(limit), 0.0)
            for limit in ("0.05", "0.01")
        ]
    if case.kind == "set":
        return [_row(case, "set", "holds", np.concatenate(found), 0.0)]
    if case.kind == "hits":
        return _hit_rows(case, found)
    rows = []
    for k, name in enumerate(case.of[: len(found[0])]):
        value, low, high, truth = np.array([each[k] for each in found], float).T
        truth = np.where(np.isnan(truth), value.mean(), truth)
        given = np.isfinite(low) & np.isfinite(high)
        covers = (low <= truth) & (truth <= high)
        rows.append(_row(case, name, "covers", covers[given], 1 - given.mean()))
    return rows


def _row(case: Case, of: str, goal: str, hits: np.ndarray, none: float) -> dict:
    least, most = GOALS[goal]
    n, k = len(hits), int(hits.sum())
    too_low = n and binomtest(k, n, least, "less").pvalue < DOUBT
    too_high = n and binomtest(k, n, most, "greater").pvalue < DOUBT
    share = k / n if n else np.nan
    verdict = "too low" if too_low else "too high" if too_high else "ok"
    if verdict == "ok" and not least <= share <= most:
        verdict = IN_DOUBT if n else "no number"
    row = {"estimator": case.estimator, "setting": case.setting, "of": of, "goal": goal}
    return row | {"measured": share, "worlds": n, "no number": none, "verdict": verdict}


def _hit_rows(case: Case, found: list[list[tuple[str, float]]]) -> list[dict]:
    """Return the mean share of false discoveries, which has a goal, and the power without one."""
    rows = []
    for k, (name, _) in enumerate(found[0]):
        shares = np.array([each[k][1] for each in found])
        is_goal = name.endswith("false discoveries")
        # Too high only if chance between worlds does not explain it.
        error = shares.std(ddof=1) / np.sqrt(len(shares)) if len(shares) > 1 else np.nan
        too_high = is_goal and shares.mean() - 3 * error > MOST_FALSE
        row = {"estimator": case.estimator, "setting": case.setting, "of": name}
        row |= {"goal": f"at most {MOST_FALSE:.2f}" if is_goal else "none"}
        row |= {"measured": shares.mean(), "worlds": len(shares), "no number": 0.0}
        rows.append(row | {"verdict": "too high" if too_high else "ok"})
    return rows


def table_of(cases: Iterable[Case], share: float = 1.0) -> pd.DataFrame:
    """Return the table of some cases, with `share` of their worlds.

    Where chance explains why a row lies outside of its goal, more worlds are drawn.
    """
    rows = []
    for case in cases:
        worlds = max(min(20, case.worlds), round(share * case.worlds))
        found = _run(case, range(worlds))
        if any(row["verdict"] == IN_DOUBT for row in _rows(case, found)):
            found += _run(case, range(worlds, MORE * worlds))
        rows += _rows(case, found)
    return pd.DataFrame(rows)
