"""Every case of the suite."""

from collections.abc import Iterator

from tests.calibration import cases, hits, replicates


def suite() -> Iterator[cases.Case]:
    """Yield the cases of every module."""
    yield from cases.all_cases()
    yield from hits.cases()
    yield from replicates.cases()
