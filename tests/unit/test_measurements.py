"""`make bench` takes too long for every commit; that it can start is looked at here."""

import importlib

import numpy as np
import pytest
import torch

from mcvae_ops.training.precision import Precision
from tests.conftest import ROOT
from tests.helpers.training_step import Step, noise_batch

FILES = sorted(path.stem for path in (ROOT / "tests/performance").glob("*.py"))


@pytest.mark.parametrize("name", [name for name in FILES if name != "__init__"])
def test_every_measurement_can_be_imported_and_says_what_it_measures(name):
    assert importlib.import_module(f"tests.performance.{name}").__doc__


def test_the_measured_training_step_is_one():
    cpu = torch.device("cpu")
    step = Step("conv64", Precision("float32", False), cpu)
    assert np.isfinite(step(noise_batch(8, cpu)).item())
