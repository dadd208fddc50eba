"""Versions of the code that makes a run."""

import platform
import subprocess
from importlib.metadata import version
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
    """Return name -> version of this package, Python and the packages that it uses."""
    own = {"mcvae-ops": f"{mcvae_ops.__version__}, commit {commit()}"}
    return own | {"Python": platform.python_version()} | {name: version(name) for name in PACKAGES}


def commit() -> str:
    """Return the commit of the checkout that contains the package, or ``unknown``."""
    folder = Path(mcvae_ops.__file__).parent
    command = ["git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return done.stdout.strip()
