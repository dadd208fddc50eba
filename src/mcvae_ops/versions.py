"""What code a run was made with."""

import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

import mcvae_ops

PACKAGES = (
    "numpy", "pandas", "pyarrow", "scikit-learn", "scikit-image", "torch", "umap-learn",
    "matplotlib", "snakemake",
)  # fmt: skip


def versions() -> dict[str, str]:
    """Return name -> version of the package, Python and what it stands on."""
    own = {"mcvae-ops": f"{mcvae_ops.__version__}, commit {commit()}"}
    return own | {"Python": platform.python_version()} | {name: version(name) for name in PACKAGES}


def commit() -> str:
    """Return the commit of the checkout that the package lies in, or ``unknown``."""
    place = Path(mcvae_ops.__file__).parent
    command = ["git", "-C", str(place), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return found.stdout.strip()
