"""Probes of what each space knows, against planted dependence and against scikit-learn."""

import numpy as np
import pytest
import torch
from sklearn.kernel_ridge import KernelRidge
from sklearn.metrics import roc_auc_score

from mcvae_ops.models.family import Posterior
from mcvae_ops.training.leaks import (
    LEAST_TESTED,
    RIDGE,
    leak_warnings,
    leaks,
    mean_auroc,
    outer_half,
    told,
)

N_GENES = 8


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def cells() -> tuple[torch.Tensor, torch.Tensor]:
    """Labels and batches of 1,024 cells of either arm."""
    rng = np.random.default_rng(0)
    label = np.concatenate([rng.integers(1, N_GENES + 1, 1024), np.zeros(1024, int)])
    return torch.from_numpy(label), torch.from_numpy(rng.integers(0, 4, 2048))


def found(means: dict[str, torch.Tensor], log_variance: float, cells, is_outer=None) -> dict:
    posterior = {
        space: Posterior(mean, torch.full_like(mean, log_variance)) for space, mean in means.items()
    }
    generator = torch.Generator().manual_seed(0)
    values = leaks(posterior, *cells, is_outer, generator)
    return {name: value.item() for name, value in values.items()}


def test_spaces_that_know_nothing_are_at_chance(cells):
    values = found({"s": normal(2048, 6), "z": normal(2048, 8, seed=1)}, -2.0, cells,
                   normal(2048, seed=2) > 0)  # fmt: skip
    for name in ("arm_auroc_z", "arm_auroc_z_samples", "batch_auroc_s", "position_auroc_s"):
        assert values[name] == pytest.approx(0.5, abs=0.06), name
    for name in ("gene_accuracy_z", "gene_accuracy_z_samples", "gene_accuracy_s"):
        assert values[name] == pytest.approx(1 / N_GENES, abs=0.05), name
    assert values["gene_accuracy_chance"] == pytest.approx(1 / N_GENES, abs=0.03)
    assert leak_warnings(values | {"kl_z_ntc": 20.0}) == {}


def test_a_collapsed_dimension_leaks_in_means_and_not_in_samples(cells):
    label, batch = cells
    z, s = normal(2048, 8), normal(2048, 6, seed=1)
    z[:, 3] = 1e-3 * (label.float() + 0.1 * normal(2048, seed=2))
    s[:, 0] += 3 * batch
    values = found({"s": s, "z": z}, 0.0, cells)
    assert values["arm_auroc_z"] > 0.95 and values["gene_accuracy_z"] > 0.4
    assert values["arm_auroc_z_samples"] == pytest.approx(0.5, abs=0.06)
    assert values["gene_accuracy_z_samples"] < 0.2
    assert values["batch_auroc_s"] > 0.85 and "position_auroc_s" not in values
    warned = leak_warnings(values | {"gene_accuracy_s": 0.6, "kl_z_ntc": 0.2})
    assert [*warned] == ["background_knows_the_gene", "background_knows_the_arm",
                         "background_is_empty", "salient_knows_the_batch"]  # fmt: skip


def test_the_probe_is_kernel_ridge_and_the_area_that_of_scikit_learn():
    latent, classes = normal(300, 5), torch.arange(300) // 7 % 3
    latent[:, 0] += classes
    standard = (latent - latent.mean(dim=0)) / latent.std(dim=0)
    squared = torch.cdist(standard, standard) ** 2
    kernel = torch.exp(-squared / squared.mean()).double().numpy()
    targets = np.eye(3)[classes.numpy()]
    fit = KernelRidge(alpha=RIDGE, kernel="precomputed")
    mean = targets[::2].mean(axis=0)
    fit.fit(kernel[::2, ::2], targets[::2] - mean)
    scores = fit.predict(kernel[1::2, ::2]) + mean
    area, accuracy = told(latent, classes)
    expected = roc_auc_score(targets[1::2], scores, average="macro")
    assert area.item() == pytest.approx(expected, abs=1e-4)
    assert accuracy.item() == pytest.approx((scores.argmax(1) == classes[1::2].numpy()).mean())
    of_torch = mean_auroc(torch.from_numpy(scores), torch.from_numpy(targets[1::2]))
    assert of_torch.item() == pytest.approx(expected)


def test_without_s_or_without_a_second_class(cells):
    label, _ = cells
    values = found({"z": normal(2048, 4)}, 0.0, (label, torch.zeros(2048, dtype=torch.int64)))
    assert not [name for name in values if name.endswith("_s")]
    assert torch.isnan(told(normal(400, 2), torch.ones(400, dtype=torch.int64))[0])
    assert leak_warnings({"kl_z_ntc": None, "arm_auroc_z": float("nan")}) == {}


def test_a_handful_of_cells_tells_nothing():
    halves = torch.arange(2 * LEAST_TESTED) // 2 % 2
    assert told(halves[:, None].double(), halves)[0] == 1.0
    assert torch.tensor(told(halves[:-2, None].double(), halves[:-2])).isnan().all()


def test_the_outer_half_is_that_of_the_field_of_view():
    y, x = (axis.ravel() for axis in np.mgrid[:101, :101])
    outer = outer_half(y, x)
    assert outer.mean() == pytest.approx(0.5, abs=0.03)
    assert not outer[(y == 50) & (x == 50)].any() and outer[(y == 0) | (x == 100)].all()
