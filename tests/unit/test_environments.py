"""The pins of the conda environments are those of requirements.txt."""

import re

import pytest
import yaml

from tests.conftest import ROOT


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
