"""What tests share."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
UMAP = ("test_benchmarks_umap.py", "test_profiles_export.py")  # each compiles for half a minute
OUTPUT = ROOT / "tests" / "output"  # screenshots, to be looked at after a run


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder of real tables and images beside the checkout; tests skip where it is absent."""
    path = ROOT.parent / "shared"
    if not path.is_dir():
        pytest.skip("no folder ../shared with real data on this machine")
    return path


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """Give torch one thread: UMAP takes all cores for its process, which crawls on busy ones."""
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name a case of bytes by its length: archives hold times, and processes must agree on names.

    With pytest-xdist every process collects the tests for itself.
    """
    return f"{argname} of {len(val)} bytes" if isinstance(val, bytes) else None


@pytest.hookimpl(tryfirst=True)  # pytest-xdist reads the groups in a hook of this name, too
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep a file's tests in one process, and all tests that share the tiny run in one, too.

    With pytest-xdist each process has fixtures of its own: the tiny run must not be made twice,
    and what UMAP computes with must not be compiled twice.
    """
    for item in items:
        shares_run = "tiny_run" in getattr(item, "fixturenames", ())
        group = "tiny_run" if shares_run else "umap" if item.path.name in UMAP else str(item.path)
        item.add_marker(pytest.mark.xdist_group(group))
