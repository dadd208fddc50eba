"""The small part of `make calibration`: p values are uniform, intervals cover."""

import pytest

from tests.calibration.cases import Case
from tests.calibration.measure import IN_DOUBT, measure
from tests.calibration.suite import suite

QUICK = [case for case in suite() if case.quick]


@pytest.mark.parametrize("case", QUICK, ids=lambda case: f"{case.estimator}, {case.setting}")
def test_goals_are_not_missed(case):
    worlds = case.worlds // 3 if case.kind == "interval" else 80
    rows = measure(case, worlds)
    assert {row["verdict"] for row in rows} <= {"ok", IN_DOUBT}, rows


def test_a_p_value_that_is_too_small_and_an_interval_that_is_too_narrow_are_seen():
    small = Case("p", "half", "p", lambda seed: [(seed % 100) / 500 + 0.001])
    assert [row["verdict"] for row in measure(small, 400)] == ["too high", "too high"]
    doubtful = Case(
        "p", "", "p", lambda seed: [0.04 if seed % 12 == 0 else 0.005 if seed % 90 == 1 else 1.0]
    )
    assert [row["verdict"] for row in measure(doubtful, 180)] == [IN_DOUBT, "ok"]
    narrow = Case("mean", "", "interval", lambda seed: [(seed % 3, -0.5, 0.5, seed % 3)])
    assert [row["verdict"] for row in measure(narrow, 90)] == ["too low"]
