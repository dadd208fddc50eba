"""Does what needs no torch work under another Python, with the newest packages?

``python -m tests.lane python3.13 FOLDER`` makes an environment of this Python in FOLDER, with the
dependencies of pyproject.toml but torch, each in its newest version. There every module that needs
no torch is imported, the tests of tables are run, and the simulated screen is planned.
"""

import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
WITH_TORCH = ("torch", "tensorboard")
FOR_TESTS = ("pytest", "hypothesis", "scanpy")
# What reads and writes tables and arrays, where pandas and NumPy differ between versions.
TESTS = (
    "archive_parts", "archive_patterns", "benchmarks_positions",
    "benchmarks_table", "cells_cell_tables", "cells_foreign_tables", "doctor_path_guess",
    "doctor_place_ranges", "embeddings_embedded_cells", "files", "profiles_aggregate",
    "profiles_centred", "profiles_correct", "profiles_export", "profiles_published_profiles",
    "shards_format", "shards_tables", "tiles_crop", "tiles_read",
)  # fmt: skip
IMPORTS = """
import importlib, pkgutil, sys, mcvae_ops
without = []
for module in pkgutil.walk_packages(mcvae_ops.__path__, "mcvae_ops."):
    try:
        importlib.import_module(module.name)
    except ModuleNotFoundError as error:
        if error.name.partition(".")[0] not in sys.argv[1:]:
            raise
        without.append(module.name)
import numpy, pandas
print(f"Python {sys.version.split()[0]}, pandas {pandas.__version__}, NumPy {numpy.__version__}: "
      f"{len(sys.modules)} modules imported; {len(without)} of ours need torch")
"""


def dependencies() -> list[str]:
    """Return what pyproject.toml asks for, without torch, and what the tests need."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    names = [entry for entry in project["dependencies"] if not entry.startswith(WITH_TORCH)]
    dev = project["optional-dependencies"]["dev"]
    return names + [entry for entry in dev if entry.startswith(FOR_TESTS)]


def main(python: str, folder: Path) -> None:
    """Make the environment, unless it is there, and try it; the first failure ends it."""
    if not (folder / "installed").exists():
        subprocess.run([python, "-m", "venv", str(folder)], check=True)
        pip = [str(folder / "bin/pip"), "install", "--quiet"]
        subprocess.run([*pip, *dependencies()], check=True)
        subprocess.run([*pip, "--no-deps", "--editable", str(ROOT)], check=True)
        (folder / "installed").touch()
    own = str(folder / "bin/python")
    subprocess.run([own, "-c", IMPORTS, *WITH_TORCH], check=True, cwd=ROOT)
    tests = [f"tests/unit/test_{name}.py" for name in TESTS]
    subprocess.run([own, "-m", "pytest", *tests], check=True, cwd=ROOT)
    plan = [own, "-m", "snakemake", "--dry-run", "--quiet", "rules"]
    done = subprocess.run(plan, cwd=ROOT, capture_output=True, text=True)
    print(done.stdout[-2000:] if done.returncode else "The simulated screen is planned.")
    sys.exit(done.returncode)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
