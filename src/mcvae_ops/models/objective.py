"""The objective, term by term, in nats per cell."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from mcvae_ops.models.family import NTC_LABEL, ContrastiveVAE, Inference, Posterior
from mcvae_ops.models.hsic import dependence, gaussian_kernel, label_kernel

TERMS = (
    "loss", "negative_elbo", "negative_log_likelihood", "kl_s", "kl_z", "kl_t", "wasserstein",
    "hsic", "label",
)  # fmt: skip


@dataclass(frozen=True)
class Weights:
    """Weights of the terms; that of the Kullback-Leibler terms holds after their warm-up."""

    likelihood_weight: float
    kl_weight: float
    kl_warmup_steps: int
    wasserstein_weight: float
    hsic_weight: float
    label_weight: float

    def kl_at(self, step: int) -> float:
        """Return the KL weight at a training step (from 0): a linear ramp that never resets."""
        return self.kl_weight * min(1.0, (step + 1) / max(self.kl_warmup_steps, 1))


def kl_per_dimension(posterior: Posterior, prior_mean: Tensor) -> Tensor:
    """Return KL(q || N(prior_mean, I)) of each cell and dimension, in nats, (cell, latent)."""
    squared = (posterior.mean - prior_mean) ** 2
    variance = torch.exp(posterior.log_variance)
    return 0.5 * (squared + variance - posterior.log_variance - 1.0)


def kl_to_unit_gaussian(posterior: Posterior, prior_mean: Tensor) -> Tensor:
    """Return KL(q || N(prior_mean, I)) of each cell, in nats, shape (cell,)."""
    return kl_per_dimension(posterior, prior_mean).sum(dim=1)


def wasserstein_to_zero(posterior: Posterior) -> Tensor:
    """Return the squared 2-Wasserstein distance of q to the point mass at 0, shape (cell,).

    References
    ----------
    Weinberger et al. 2022, "Moment matching deep contrastive latent variable models".
    """
    return (posterior.mean**2 + torch.exp(posterior.log_variance)).sum(dim=1)


def squared_error(images: Tensor, reconstruction: Tensor) -> Tensor:
    """Return the summed squared error of each cell, shape (cell,)."""
    return ((images - reconstruction) ** 2).sum(dim=(1, 2, 3))


def log_sigma_of(model: ContrastiveVAE, error: Tensor, n_values: int) -> Tensor:
    """Return the log standard deviation of the pixels.

    Parameters
    ----------
    model
        Its setting `sigma` decides; "analytic" maximises the likelihood of these very cells, and
        its gradient is that of n_values / 2 log(mean squared error) per cell.
    error
        Summed squared error of each cell, shape (cell,).
    n_values
        Channels times pixels of a cell.

    References
    ----------
    Rybkin et al. 2021, "Simple and effective VAE training with calibrated decoders".
    """
    if model.log_sigma is not None:
        return model.log_sigma
    if model.settings.sigma == "analytic":
        return 0.5 * torch.log(error.detach().mean() / n_values)
    return error.new_tensor(math.log(model.settings.sigma))


def gaussian_nll(error: Tensor, n_values: int, log_sigma: Tensor) -> Tensor:
    """Return the negative log likelihood of each cell under N(reconstruction, sigma^2 I)."""
    constant = n_values * (log_sigma + 0.5 * math.log(2.0 * math.pi))
    return 0.5 * error * torch.exp(-2.0 * log_sigma) + constant


def technical_dependence(mean_t: Tensor, mean_s: Tensor | None, label: Tensor) -> Tensor:
    """Return how much t tells of the label, plus how much of s in perturbed cells.

    About 0 (in a batch also below it) if it tells nothing, at most 2.
    """
    kernel = gaussian_kernel(mean_t)
    found = dependence(kernel, label_kernel(label))
    is_perturbed = label != NTC_LABEL
    if mean_s is not None:
        of_perturbed = kernel[is_perturbed][:, is_perturbed]
        found = found + dependence(of_perturbed, gaussian_kernel(mean_s[is_perturbed]))
    return found


def label_cross_entropy(inference: Inference, label: Tensor) -> Tensor:
    """Return minus the log probability that the head gives to each cell's label, in nats, (cell,).

    0 without a head, and of NTC cells: they are not to be told from others by s, but to have none.
    """
    if inference.label_logits is None:
        return torch.zeros(len(label), device=label.device)
    found = cross_entropy(inference.label_logits.float(), label, reduction="none")
    return found.masked_fill(label == NTC_LABEL, 0.0)


def objective(
    model: ContrastiveVAE,
    images: Tensor,
    label: Tensor,
    inference: Inference,
    weights: Weights,
    step: int,
) -> dict[str, Tensor]:
    """Return the terms of the objective (`TERMS`) at a training step.

    All but `hsic` are scalars in nats per cell; `hsic` is `technical_dependence`, and its weight is
    in nats. `loss` is what training minimises: with `label`, the cross entropy of the label, each
    term at its weight. `negative_elbo` is the likelihood and the weighted divergences alone. Both
    are means over all cells. `kl_s` and `label` are means over perturbed cells and
    `wasserstein` the mean over NTC cells: NTC has no KL of s and no label, perturbed cells have
    no Wasserstein term. Terms of spaces that the model does not have are 0.
    """
    is_ntc = label == NTC_LABEL
    error = squared_error(images, inference.reconstruction)
    n_values = images[0].numel()
    nll = gaussian_nll(error, n_values, log_sigma_of(model, error, n_values))
    posterior = inference.posterior
    kl = dict.fromkeys(("s", "z", "t"), torch.zeros_like(nll)) | {
        space: kl_to_unit_gaussian(one, inference.prior[space]) for space, one in posterior.items()
    }
    wasserstein = torch.zeros_like(nll)
    if "s" in posterior:
        kl["s"] = kl["s"].masked_fill(is_ntc, 0.0)
        wasserstein = wasserstein_to_zero(posterior["s"]).masked_fill(~is_ntc, 0.0)
    hsic = nll.new_zeros(())
    if "t" in posterior:
        mean_s = posterior["s"].mean if "s" in posterior else None
        hsic = technical_dependence(posterior["t"].mean, mean_s, label)
    divergence = weights.kl_at(step) * (kl["s"] + kl["z"] + kl["t"])
    cross_entropies = label_cross_entropy(inference, label)
    penalties = weights.wasserstein_weight * wasserstein.mean() + weights.hsic_weight * hsic
    penalties = penalties + weights.label_weight * cross_entropies.mean()
    return {
        "loss": (weights.likelihood_weight * nll + divergence).mean() + penalties,
        "negative_elbo": (nll + divergence).mean(),
        "negative_log_likelihood": nll.mean(),
        "kl_s": kl["s"].sum() / (~is_ntc).sum().clamp(min=1),
        "kl_z": kl["z"].mean(),
        "kl_t": kl["t"].mean(),
        "wasserstein": wasserstein.sum() / is_ntc.sum().clamp(min=1),
        "hsic": hsic,
        "label": cross_entropies.sum() / (~is_ntc).sum().clamp(min=1),
    }
