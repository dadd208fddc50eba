"""On data that are linear in a known z and s, the family finds what is there to be found."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from mcvae_ops.models.family import NTC_LABEL, ContrastiveVAE, FamilySettings
from mcvae_ops.models.networks import NETWORKS
from mcvae_ops.models.objective import Weights, objective

N_LABELS, N_LATENT, SIZE_PX, SIGMA, STEPS = 6, 2, 6, 0.3, 5000
MCVAE = FamilySettings(
    "linear", 1, SIZE_PX, 1, N_LATENT, N_LATENT, True, True, False, SIGMA, N_LABELS, 1
)
VAE = replace(
    MCVAE, salient_latent=0, background_latent=2 * N_LATENT,
    prior_s_per_label=False, prior_z_per_label=False,
)  # fmt: skip


class LinearEncoder(nn.Sequential):
    def __init__(self, n_channels: int, base_width: int, size_px: int) -> None:
        super().__init__(nn.Flatten())
        self.n_features = n_channels * size_px**2


class LinearDecoder(nn.Sequential):
    def __init__(self, n_latent: int, n_channels: int, base_width: int, size_px: int) -> None:
        shape = (n_channels, size_px, size_px)
        super().__init__(nn.Linear(n_latent, n_channels * size_px**2), nn.Unflatten(1, shape))


def linear_screen(n_cells: int) -> tuple[torch.Tensor, ...]:
    """Return images = A z + B s + noise with s = 0 in controls, labels, z and s."""
    generator = torch.Generator().manual_seed(0)
    label = torch.arange(n_cells) % (2 * (N_LABELS - 1))
    label = (label + 1).masked_fill(label >= N_LABELS - 1, NTC_LABEL)  # half of them controls
    mean_s = torch.randn(N_LABELS, N_LATENT, generator=generator)
    z = torch.randn(n_cells, N_LATENT, generator=generator)
    s = mean_s[label] + torch.randn(n_cells, N_LATENT, generator=generator)
    s[label == NTC_LABEL] = 0.0
    loadings = torch.randn(2 * N_LATENT, SIZE_PX**2, generator=generator)
    noise = SIGMA * torch.randn(n_cells, SIZE_PX**2, generator=generator)
    images = torch.cat([z, s], dim=1) @ loadings + noise
    return images.reshape(n_cells, 1, SIZE_PX, SIZE_PX), label, z, s


def fitted(settings: FamilySettings, images: torch.Tensor, label: torch.Tensor) -> ContrastiveVAE:
    model = ContrastiveVAE(settings, 0)
    optimiser = torch.optim.Adam(model.parameters(), lr=0.01, fused=True)
    generator, weights = torch.Generator().manual_seed(1), Weights(1.0, 200, 1.0)
    batch = torch.zeros_like(label)
    for step in range(STEPS):
        chosen = torch.randint(len(label), (256,), generator=generator)
        inference = model(images[chosen], label[chosen], batch[chosen], generator)
        terms = objective(
            model, images[chosen], label[chosen], inference,
            weights.kl_at(step), weights.wasserstein_weight,
        )  # fmt: skip
        optimiser.zero_grad()
        terms["loss"].backward()
        optimiser.step()
    return model


def canonical_correlations(x: torch.Tensor, y: torch.Tensor) -> np.ndarray:
    bases = [np.linalg.qr(part.numpy() - part.numpy().mean(axis=0))[0] for part in (x, y)]
    return np.linalg.svd(bases[0].T @ bases[1], compute_uv=False)


@pytest.fixture(scope="module")
def screen():
    return linear_screen(4000)


def correlations(screen, settings: FamilySettings, monkeypatch) -> dict[tuple[str, str], list]:
    """Return the canonical correlations of each found space with each planted one."""
    monkeypatch.setitem(NETWORKS, "linear", (LinearEncoder, LinearDecoder))
    images, label, z, s = screen
    perturbed = label != NTC_LABEL
    model = fitted(settings, images, label)
    with torch.no_grad():
        found = model.embed(images[perturbed])
    return {
        (name, planted): canonical_correlations(space, truth[perturbed])
        for name, space in zip("sz", found, strict=True)
        for planted, truth in (("s", s), ("z", z))
        if space is not None
    }


def test_mcvae_recovers_the_salient_and_the_background_space(screen, monkeypatch):
    found = correlations(screen, MCVAE, monkeypatch)
    for right, wrong in (("ss", "sz"), ("zz", "zs")):
        assert min(found[tuple(right)]) >= 0.9
        assert max(found[tuple(wrong)]) <= 0.2


def test_vae_mixes_them(screen, monkeypatch):
    found = correlations(screen, VAE, monkeypatch)
    assert min(found["z", "z"]) >= 0.9 and min(found["z", "s"]) >= 0.9
