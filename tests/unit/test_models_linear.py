"""On data that are linear in a known z and s, the family finds what is there to be found."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from torch import nn

from mcvae_ops.models.family import NTC_LABEL, ContrastiveVAE, FamilySettings
from mcvae_ops.models.networks import NETWORKS
from mcvae_ops.models.objective import Weights, objective

N_LABELS, N_BATCHES, N_LATENT, SIZE_PX, SIGMA = 6, 5, 2, 6, 0.3
MCVAE = FamilySettings(
    "linear",
    1,
    SIZE_PX,
    1,
    N_LATENT,
    N_LATENT,
    0,
    True,
    True,
    False,
    False,
    SIGMA,
    N_LABELS,
    N_BATCHES,
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


@dataclass
class Screen:
    """Images (cell, 1, y, x), labels, batches, and what was planted, (cell, latent) each."""

    images: torch.Tensor
    label: torch.Tensor
    batch: torch.Tensor
    planted: dict[str, torch.Tensor]


def linear_screen(n_cells: int, batch_effect: float = 0.0) -> Screen:
    """Return images = A z + B s + C t + noise; s = 0 in controls, t is the batch's."""
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
    batch = torch.randint(N_BATCHES, (n_cells,), generator=generator)
    t = batch_effect * torch.randn(N_BATCHES, N_LATENT, generator=generator)[batch]
    images = images + t @ torch.randn(N_LATENT, SIZE_PX**2, generator=generator)
    images = images.reshape(n_cells, 1, SIZE_PX, SIZE_PX)
    return Screen(images, label, batch, {"s": s, "z": z, "t": t})


def fitted(settings: FamilySettings, screen: Screen, n_steps: int) -> ContrastiveVAE:
    model = ContrastiveVAE(settings, 0)
    optimiser = torch.optim.Adam(model.parameters(), lr=0.04, fused=True)
    generator = torch.Generator().manual_seed(1)
    weights = Weights(1.0, 1.0, 200, {"wasserstein": 1.0, "hsic": 30.0})
    columns = (screen.images, screen.label, screen.batch)
    for step in range(n_steps):
        chosen = torch.randint(len(screen.label), (256,), generator=generator)
        images, label, batch = (column[chosen] for column in columns)
        inference = model(images, label, batch, generator)
        optimiser.zero_grad()
        objective(model, images, label, inference, weights, step)["loss"].backward()
        optimiser.step()
    return model


def canonical_correlations(x: torch.Tensor, y: torch.Tensor) -> np.ndarray:
    bases = [np.linalg.qr(part.numpy() - part.numpy().mean(axis=0))[0] for part in (x, y)]
    return np.linalg.svd(bases[0].T @ bases[1], compute_uv=False)


@pytest.fixture(scope="module")
def screen():
    return linear_screen(4000)


@pytest.fixture(autouse=True)
def linear_networks(monkeypatch):
    monkeypatch.setitem(NETWORKS, "linear", (LinearEncoder, LinearDecoder))


def correlations(model: ContrastiveVAE, screen: Screen) -> dict[str, np.ndarray]:
    """Return the canonical correlations of found and planted spaces ("sz") in perturbed cells."""
    perturbed = screen.label != NTC_LABEL
    with torch.no_grad():
        found = model.embed(screen.images[perturbed])
    return {
        name + planted: canonical_correlations(space, truth[perturbed])
        for name, space in found.items()
        for planted, truth in screen.planted.items()
    }


def test_mcvae_recovers_the_salient_and_the_background_space(screen):
    found = correlations(fitted(MCVAE, screen, 2500), screen)
    for right, wrong in (("ss", "sz"), ("zz", "zs")):
        assert min(found[right]) >= 0.9
        assert max(found[wrong]) <= 0.2


def test_vae_mixes_them(screen):
    found = correlations(fitted(VAE, screen, 1500), screen)
    assert min(found["zz"]) >= 0.9 and min(found["zs"]) >= 0.9


def test_the_technical_space_takes_what_the_batches_do():
    screen = linear_screen(4000, batch_effect=2.0)
    found = correlations(fitted(replace(MCVAE, technical_latent=2), screen, 2500), screen)
    for space in "szt":
        assert min(found[space + space]) >= 0.9
        assert all(max(found[space + other]) <= 0.3 for other in "szt" if other != space)
    without = correlations(fitted(MCVAE, screen, 600), screen)
    assert max(without["zt"]) >= 0.9
