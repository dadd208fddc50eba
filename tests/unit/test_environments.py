"""The pins of the conda environments and of the container are those of requirements.txt."""

import re
from importlib.metadata import requires

import pytest
import yaml
from packaging.requirements import Requirement

from tests.conftest import ROOT
from tests.helpers.container import dockerfile


def pins() -> dict[str, str]:
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    pairs = [line.split("==") for line in lines if "==" in line]
    return {name.lower().replace("_", "-"): version for name, version in pairs}


@pytest.mark.parametrize("environment", ["cpu", "gpu"])
def test_conda_pins_equal_requirements(environment):
    pinned = pins()
    entries = yaml.safe_load((ROOT / f"envs/{environment}.yaml").read_text())["dependencies"]
    names = [entry for entry in entries if isinstance(entry, str) and "=" in entry]
    names += next(entry["pip"] for entry in entries if isinstance(entry, dict))
    assert len(names) > 10
    for entry in names:
        name, version = re.split("==?", entry)
        name = re.sub("^pytorch.*", "torch", name)
        if name != "python":
            assert pinned[name] == version, name


def test_every_dependency_is_pinned():
    text = (ROOT / "pyproject.toml").read_text()
    names = re.findall(r'^    "([A-Za-z0-9-]+)>=', text, re.MULTILINE)
    assert len(names) > 10
    assert set(names) <= set(pins())


@pytest.fixture(scope="module")
def recipe() -> dict[str, list[str]]:
    """Instructions of the Dockerfile -> their arguments, in order."""
    return dockerfile()


def test_the_container_has_one_pinned_base_with_the_python_of_the_environments(recipe):
    (base,) = recipe["FROM"]
    version = re.fullmatch(r"python:(\d+\.\d+)\.\d+-slim-\w+", base)[1]
    environment = yaml.safe_load((ROOT / "envs/cpu.yaml").read_text())
    assert f"python={version}" in environment["dependencies"]


def test_the_container_s_steps_are_what_is_expected_of_them(recipe):
    assert list(recipe) == ["FROM", "ARG", "WORKDIR", "COPY", "RUN"]
    # Packages of Debian would have no fixed versions; pip alone is called, and keeps no cache.
    assert recipe["RUN"] == ["pip install --no-cache-dir --constraint requirements.txt ."]
    for copied in recipe["COPY"]:
        assert all((ROOT / source).exists() for source in copied.split()[:-1]), copied


def test_whatever_pip_installs_for_the_container_is_pinned():
    waiting, seen = ["mcvae-ops"], set()
    while waiting:
        name = re.sub("[_.]", "-", waiting.pop().lower())
        if name not in seen:
            seen.add(name)
            needed = map(Requirement, requires(name) or [])
            waiting += [one.name for one in needed if not one.marker or one.marker.evaluate()]
    assert len(seen) > 100
    # setuptools is whichever Python brings. PyTorch itself fixes the versions of CUDA.
    assert seen - set(pins()) == {"mcvae-ops", "setuptools"}
