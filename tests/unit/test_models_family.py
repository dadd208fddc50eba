"""The members of the family: shapes, priors, what reaches what."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mcvae_ops.errors import InputError
from mcvae_ops.models.family import ContrastiveVAE, FamilySettings
from mcvae_ops.models.networks import NETWORKS, n_parameters
from mcvae_ops.models.objective import ADDITIONAL_TERMS, Weights, objective
from mcvae_ops.models.preprocess import Preprocessing

MCVAE = FamilySettings("conv64", 4, 16, 3, 5, 6, 0, True, True, False, False, "analytic", 4, 3)
PAPER = replace(
    MCVAE, base_width=32, input_size_px=64, n_channels=4, salient_latent=32, background_latent=32
)
FAMILY = {
    "vae": replace(MCVAE, salient_latent=0, prior_s_per_label=False, prior_z_per_label=False),
    "cvae": replace(MCVAE, prior_s_per_label=False, prior_z_per_label=False),
    "cvae_prior_s": replace(MCVAE, prior_z_per_label=False),
    "cvae_prior_z": replace(MCVAE, prior_s_per_label=False),
    "mcvae": MCVAE,
    "dcvae": replace(MCVAE, prior_s_per_label=False, prior_z_per_label=False, label_head=True),
    "technical": replace(MCVAE, technical_latent=2),
    "learned sigma, conditioned on the batch": replace(
        MCVAE, sigma="learned", condition_on_batch=True
    ),
    "conv96": replace(MCVAE, network="conv96", input_size_px=40),
    "resnet64": replace(MCVAE, network="resnet64", input_size_px=21),
}
WEIGHTS = Weights(1.0, 1.0, 0, dict.fromkeys(ADDITIONAL_TERMS, 1.0))
LABEL, BATCH = torch.tensor([1, 2, 3, 0, 0, 0]), torch.tensor([0, 1, 2, 0, 1, 2])


def images_for(settings: FamilySettings) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    size_px = settings.input_size_px
    return torch.rand(6, settings.n_channels, size_px, size_px, generator=generator)


def inferred(model: ContrastiveVAE):
    generator = torch.Generator().manual_seed(1)
    return model(images_for(model.settings), LABEL, BATCH, generator)


@pytest.mark.parametrize("name", FAMILY)
def test_gradients_reach_every_parameter(name):
    model = ContrastiveVAE(FAMILY[name], 0)
    terms = objective(model, images_for(FAMILY[name]), LABEL, inferred(model), WEIGHTS, 0)
    terms["loss"].backward()
    for parameter_name, parameter in model.named_parameters():
        assert parameter.grad is not None, parameter_name
        assert parameter.grad.abs().sum() > 0, parameter_name


def test_controls_are_decoded_without_the_salient_space():
    model = ContrastiveVAE(MCVAE, 0)
    before = inferred(model)
    with torch.no_grad():
        model.salient_encoder.heads.weight += 1.0
    after = inferred(model)
    is_ntc = LABEL == 0
    assert torch.equal(before.reconstruction[is_ntc], after.reconstruction[is_ntc])
    assert not torch.equal(before.reconstruction[~is_ntc], after.reconstruction[~is_ntc])


def test_prior_means_start_at_zero_and_that_of_controls_stays_there():
    model = ContrastiveVAE(MCVAE, 0)
    for prior in (model.prior_s, model.prior_z):
        assert not prior.weight.any()
    optimiser = torch.optim.Adam(model.parameters(), lr=0.1)
    for _ in range(3):
        optimiser.zero_grad()
        objective(model, images_for(MCVAE), LABEL, inferred(model), WEIGHTS, 0)["loss"].backward()
        optimiser.step()
    for prior in (model.prior_s, model.prior_z):
        assert not prior.weight[0].any()
        assert prior.weight[1:].all()


def test_embedding_is_the_posterior_mean():
    model = ContrastiveVAE(MCVAE, 0)
    found = model.embed(images_for(MCVAE))
    posterior = inferred(model).posterior
    assert [*found] == [*posterior] == ["s", "z"]
    assert all(torch.equal(found[space], posterior[space].mean) for space in found)
    assert [*ContrastiveVAE(FAMILY["vae"], 0).embed(images_for(MCVAE))] == ["z"]


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("size_px", [32, 37, 50, 63, 96])
@pytest.mark.parametrize(("n_channels", "n_latent"), [(1, 1), (7, 40)])
def test_any_size_and_number_of_channels_comes_back(network, size_px, n_channels, n_latent):
    settings = replace(MCVAE, network=network, input_size_px=size_px, n_channels=n_channels)
    settings = replace(settings, salient_latent=n_latent, background_latent=2 * n_latent)
    images = images_for(settings)
    reconstruction = inferred(ContrastiveVAE(settings, 0)).reconstruction
    assert reconstruction.shape == images.shape
    assert reconstruction.abs().max() <= 1


def test_the_networks_are_those_of_the_method():
    # With a row per gene and the authors' batch embedding: about 1.55 million parameters.
    authors = replace(PAPER, condition_on_batch=True, n_labels=5050, n_batches=34)
    assert n_parameters(ContrastiveVAE(authors, 0)) == pytest.approx(1.55e6, rel=0.01)
    conv96 = ContrastiveVAE(replace(PAPER, network="conv96", input_size_px=96), 0)
    assert conv96.background_encoder.body.sizes_px == [96, 48, 24, 12, 6, 3]
    conv64 = ContrastiveVAE(PAPER, 0)
    assert conv64.background_encoder.body.n_features == 4096


@pytest.mark.parametrize("network", NETWORKS)
def test_initial_weights_carry_the_signal_through_the_decoder(network):
    settings = replace(PAPER, network=network, input_size_px=64)
    model = ContrastiveVAE(settings, 0)
    latent = torch.randn(64, 64, generator=torch.Generator().manual_seed(2))
    signal = torch.nn.Sequential(*list(model.decoder)[:-1])(latent)
    assert 0.2 < signal.std(dim=0).mean() < 2.0


def test_initial_weights_depend_on_the_seed_alone():
    torch.manual_seed(1)
    first = ContrastiveVAE(FAMILY["learned sigma, conditioned on the batch"], 5).state_dict()
    torch.manual_seed(2)
    second = ContrastiveVAE(FAMILY["learned sigma, conditioned on the batch"], 5).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    other = ContrastiveVAE(MCVAE, 6).state_dict()
    assert not torch.equal(first["background_encoder.heads.weight"],
                           other["background_encoder.heads.weight"])  # fmt: skip


def test_an_unknown_network_is_named():
    with pytest.raises(InputError, match=r"conv65.*one of conv64, conv96, resnet64"):
        ContrastiveVAE(replace(MCVAE, network="conv65"), 0)


def test_preprocessing_is_arcsinh_and_antialiased():
    counts = np.random.default_rng(0).integers(0, 65_536, (2, 3, 16, 16)).astype(np.uint16)
    expected = (np.arcsinh(counts / 250.0) - 1.5) / 2.5
    found = Preprocessing(16, 250.0, 1.5, 2.5)(torch.from_numpy(counts), None).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-5)
    # A checkerboard at the finest scale is grey when halved; without antialiasing it is not.
    board = (np.indices((16, 16)).sum(axis=0) % 2 * 1000).astype(np.uint16)
    halved = Preprocessing(8, 250.0, 0.0, 1.0)(torch.from_numpy(board[None, None]), None).numpy()
    np.testing.assert_allclose(halved[..., 1:-1, 1:-1], np.arcsinh(2.0), atol=0.01)
