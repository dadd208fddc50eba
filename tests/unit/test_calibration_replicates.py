"""The small part of the calibration of replicates, planted truth and doses."""

import pytest

from tests.calibration.measure import IN_DOUBT, measure
from tests.calibration.replicates import cases

QUICK = [case for case in cases() if case.quick]


@pytest.mark.parametrize("case", QUICK, ids=lambda case: f"{case.estimator}, {case.setting}")
def test_goals_are_not_missed(case):
    rows = measure(case, 60)
    assert {row["verdict"] for row in rows} <= {"ok", IN_DOUBT}, rows
