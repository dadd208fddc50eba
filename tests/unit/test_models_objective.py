"""Each term of the objective against an independent computation."""

import math
from dataclasses import replace

import pytest
import torch
from torch.distributions import Independent, MultivariateNormal, Normal, kl_divergence

from mcvae_ops.models.family import ContrastiveVAE, FamilySettings, Inference, Posterior
from mcvae_ops.models.objective import (
    Weights,
    background_dependence,
    gaussian_nll,
    kl_to_unit_gaussian,
    log_sigma_of,
    objective,
    salient_dependence,
    squared_error,
    wasserstein_to_zero,
)

SETTINGS = FamilySettings("conv64", 2, 8, 2, 3, 3, 0, True, True, False, False, "analytic", 4, 2)
WEIGHTS = Weights(
    likelihood_weight=1.0,
    kl_weight=2.0,
    kl_warmup_steps=0,
    additional={"wasserstein": 8.0, "hsic": 5.0, "label": 7.0},
)


@pytest.fixture
def posterior() -> Posterior:
    generator = torch.Generator().manual_seed(1)
    return Posterior(*torch.randn(2, 5, 3, generator=generator, dtype=torch.float64))


def test_kl_equals_that_of_torch_distributions(posterior):
    prior = torch.linspace(-1, 1, 15, dtype=torch.float64).reshape(5, 3)
    q = Independent(Normal(posterior.mean, torch.exp(0.5 * posterior.log_variance)), 1)
    p = Independent(Normal(prior, torch.ones_like(prior)), 1)
    torch.testing.assert_close(kl_to_unit_gaussian(posterior, prior), kl_divergence(q, p))


def test_wasserstein_is_the_mean_squared_distance_to_zero_by_integration(posterior):
    # The only coupling with a point mass is the product, so W2^2 = E |s|^2, here by quadrature.
    grid = torch.linspace(-60, 60, 200_001, dtype=torch.float64)
    sd = torch.exp(0.5 * posterior.log_variance)
    q = Normal(posterior.mean[..., None], sd[..., None])
    expected = torch.trapezoid(grid**2 * q.log_prob(grid).exp(), grid).sum(dim=1)
    torch.testing.assert_close(wasserstein_to_zero(posterior), expected, rtol=1e-6, atol=1e-6)


def test_likelihood_is_the_log_density_of_the_pixels():
    images, reconstruction = torch.rand(2, 6, 2, 8, 8, dtype=torch.float64)
    log_sigma = torch.tensor(-1.3, dtype=torch.float64)
    nll = gaussian_nll(squared_error(images, reconstruction), 128, log_sigma)
    density = Normal(reconstruction, log_sigma.exp()).log_prob(images)
    torch.testing.assert_close(nll, -density.sum(dim=(1, 2, 3)))


def test_analytic_sigma_maximises_the_likelihood_and_has_the_gradient_of_its_logarithm():
    model = ContrastiveVAE(SETTINGS, 0)
    images = torch.rand(6, 2, 8, 8, dtype=torch.float64)
    reconstruction = torch.rand(6, 2, 8, 8, dtype=torch.float64, requires_grad=True)
    error = squared_error(images, reconstruction)
    log_sigma = log_sigma_of(model, error, 128)
    nll = gaussian_nll(error, 128, log_sigma).mean()
    for other in (-0.01, 0.01):
        assert nll < gaussian_nll(error, 128, log_sigma + other).mean()
    (gradient,) = torch.autograd.grad(nll, reconstruction, retain_graph=True)
    closed = 64 * torch.log(error.mean() / 128)
    (expected,) = torch.autograd.grad(closed, reconstruction)
    torch.testing.assert_close(gradient, expected)
    torch.testing.assert_close(nll, closed + 64 * (1 + math.log(2 * math.pi)))


def test_a_fixed_sigma_is_used_as_it_is():
    settings = FamilySettings(**{**SETTINGS.__dict__, "sigma": 0.25})
    found = log_sigma_of(ContrastiveVAE(settings, 0), torch.ones(3), 128)
    assert found.item() == pytest.approx(math.log(0.25))


def test_elbo_of_a_linear_gaussian_model_is_its_log_marginal_likelihood():
    # x = A v + b + noise with orthogonal columns of A: the true posterior is diagonal, and with it
    # the bound is tight.
    generator = torch.Generator().manual_seed(3)
    double = {"dtype": torch.float64}
    basis = torch.linalg.qr(torch.randn(32, 3, generator=generator, **double))[0]
    loading = basis * torch.tensor([2.0, 1.0, 0.3], **double)
    prior, sigma = torch.tensor([0.5, -1.0, 2.0], **double), 0.4
    offset, x = torch.randn(2, 32, generator=generator, **double)
    marginal = MultivariateNormal(
        offset + loading @ prior, loading @ loading.T + sigma**2 * torch.eye(32, **double)
    )
    variance = 1 / (1 + (loading**2).sum(dim=0) / sigma**2)
    mean = variance * (prior + loading.T @ (x - offset) / sigma**2)
    n_samples = 200_000
    posterior = Posterior(*(v.expand(n_samples, 3) for v in (mean, variance.log())))
    reconstruction = posterior.sample(generator) @ loading.T + offset
    error = squared_error(
        x.expand(n_samples, 32).reshape(-1, 2, 4, 4), reconstruction.reshape(-1, 2, 4, 4)
    )
    nll = gaussian_nll(error, 32, torch.tensor(math.log(sigma), **double))
    negative_elbo = (nll + kl_to_unit_gaussian(posterior, prior.expand(n_samples, 3))).mean()
    assert negative_elbo.item() == pytest.approx(-marginal.log_prob(x).item(), abs=0.02)


def test_terms_apply_to_their_arm_only():
    model = ContrastiveVAE(SETTINGS, 0)
    images, label = torch.rand(4, 2, 8, 8), torch.tensor([1, 2, 0, 0])
    z, s = (Posterior(torch.randn(4, 3), torch.randn(4, 3)) for _ in range(2))
    zeros = torch.zeros(4, 3)
    priors = {"s": zeros, "z": zeros}
    logits = torch.randn(4, 3)
    inference = Inference({"s": s, "z": z}, priors, torch.rand(4, 2, 8, 8), logits)
    terms = objective(model, images, label, inference, WEIGHTS, 0)
    kl_s, kl_z = (kl_to_unit_gaussian(posterior, zeros) for posterior in (s, z))
    torch.testing.assert_close(terms["kl_s"], kl_s[:2].mean())
    torch.testing.assert_close(terms["kl_z"], kl_z.mean())
    torch.testing.assert_close(terms["wasserstein"], wasserstein_to_zero(s)[2:].mean())
    elbo = terms["negative_log_likelihood"] + 2 * (kl_z.mean() + kl_s[:2].sum() / 4)
    torch.testing.assert_close(terms["negative_elbo"], elbo)
    chosen = torch.log_softmax(logits, dim=1)[torch.arange(2), label[:2]]
    torch.testing.assert_close(terms["label"], -chosen.mean())
    penalties = 8 * terms["wasserstein"] / 2 + 7 * terms["label"] / 2
    torch.testing.assert_close(terms["loss"], elbo + penalties)
    no_pixels = replace(WEIGHTS, likelihood_weight=0.0)
    found = objective(model, images, label, inference, no_pixels, 0)
    nll = terms["negative_log_likelihood"]
    torch.testing.assert_close(found["loss"], terms["loss"] - nll, rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(found["negative_elbo"], terms["negative_elbo"])


def test_kl_ramp_rises_once_and_stays():
    weights = replace(WEIGHTS, kl_weight=20.0, kl_warmup_steps=4)
    assert [weights.kl_at(step) for step in range(6)] == [5, 10, 15, 20, 20, 20]
    assert replace(weights, kl_weight=1.0, kl_warmup_steps=0).kl_at(0) == 1.0


def test_the_background_is_made_independent_of_s_and_s_stays():
    generator = torch.Generator().manual_seed(0)
    s, noise = torch.randn(2, 400, 3, generator=generator)
    label = torch.arange(400) % 2
    turned = s @ torch.randn(3, 3, generator=generator)
    assert background_dependence(turned, s, label) > 0.4
    # A dimension that hardly varies counts as much as any other, and has room beside its mean.
    hidden = torch.cat([noise, 7.0 + 1e-4 * s[:, :1]], dim=1)
    shown = torch.cat([noise, s[:, :1]], dim=1)
    expected = background_dependence(shown, s, label).item()
    assert expected > 0.2
    assert background_dependence(hidden, s, label).item() == pytest.approx(expected, rel=0.02)
    assert abs(background_dependence(noise, s, label)) < 0.02
    z = (noise + s).requires_grad_()
    s.requires_grad_()
    background_dependence(z, s, label).backward()
    assert s.grad is None
    assert (z.grad[label == 0] == 0).all() and (z.grad[label == 1] != 0).any()


def test_s_of_controls_is_made_independent_of_the_background_and_z_stays():
    generator = torch.Generator().manual_seed(0)
    z, noise = torch.randn(2, 400, 3, generator=generator)
    label = torch.arange(400) % 2
    assert abs(salient_dependence(noise, z, label)) < 0.02
    # A small s counts as much as a large one, so a head cannot read from what is merely small.
    small = 1e-3 * (noise + z)
    assert salient_dependence(small, z, label) > 0.2
    # What perturbed cells do is no part of it.
    in_perturbed = torch.where(label[:, None] == 1, z, noise)
    assert abs(salient_dependence(in_perturbed, z, label)) < 0.02
    s = (noise + z).requires_grad_()
    z.requires_grad_()
    salient_dependence(s, z, label).backward()
    assert z.grad is None
    assert (s.grad[label == 1] == 0).all() and (s.grad[label == 0] != 0).any()
