"""One undisturbed run of the tiny screen, shared by the tests of a session."""

from pathlib import Path

import pytest

from tests.helpers.runs import snakemake, tiny_configuration, write_configuration


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory) -> Path:
    """Folder of a finished run of the tiny screen; its results are in results/tiny."""
    folder = tmp_path_factory.mktemp("tiny")
    write_configuration(tiny_configuration(), folder)
    done = snakemake(folder, "--cores", "2")
    assert done.returncode == 0, done.stdout[-5000:]
    return folder
