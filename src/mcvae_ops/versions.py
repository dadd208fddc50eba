"""Versions of the code that makes a run."""

import platform
import subprocess
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import mcvae_ops

PACKAGES = (
    "numpy",
    "pandas",
    "pyarrow",
    "scikit-learn",
    "scikit-image",
    "torch",
    "umap-learn",
    "matplotlib",
    "snakemake",
)


def versions() -> dict[str, str]:
    """Return name -> version of this package, Python and the packages that it uses.

    What is not installed (torch, where nothing is trained) has no version.
    """
    own = {"mcvae-ops": f"{mcvae_ops.__version__}, commit {commit()}"}
    used = {}
    for name in PACKAGES:
        with suppress(PackageNotFoundError):
            used[name] = version(name)
    return own | {"Python": platform.python_version()} | used


def commit() -> str:
    """Return the commit of the checkout that contains the package, or ``unknown``."""
    folder = Path(mcvae_ops.__file__).parent
    command = ["git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return done.stdout.strip()
