"""What tests share."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
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
