"""The objective: the ELBO and additional terms, summed in one function for training and validation.

A new term is a function and an entry of `ADDITIONAL_TERMS`; its weight is a key of section
`training` of the configuration (schema and defaults). Training, validation, the table of metrics
and TensorBoard take their terms from here.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from mcvae_ops.models.family import NTC_LABEL, SPACES, ContrastiveVAE, Inference, Posterior
from mcvae_ops.models.hsic import dependence, gaussian_kernel, label_kernel


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
    """Return the log standard deviation of the pixels, as the setting `sigma` of the model defines.

    Parameters
    ----------
    model
        With sigma "analytic" the likelihood of the given cells is maximal, and its gradient is that
        of n_values / 2 log(mean squared error) per cell.
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
    """Return the dependence of t on the label, plus that on s in perturbed cells, in [0, 2].

    It is about 0 if t is independent of both; the estimate may be negative.
    """
    kernel = gaussian_kernel(mean_t)
    on_label = dependence(kernel, label_kernel(label))
    if mean_s is None:
        return on_label
    is_perturbed = label != NTC_LABEL
    kernel_of_perturbed = kernel[is_perturbed][:, is_perturbed]
    on_s = dependence(kernel_of_perturbed, gaussian_kernel(mean_s[is_perturbed]))
    return on_label + on_s


def background_dependence(mean_z: Tensor, mean_s: Tensor, label: Tensor) -> Tensor:
    """Return the dependence of z on s in perturbed cells; see `dependence_of_dimensions`.

    No gradient reaches s: otherwise s would give way, because the images need z for more than s.
    The arm is no part of it: z may tell perturbed from control cells, because perturbations also
    shift the natural states that z describes.
    """
    is_perturbed = label != NTC_LABEL
    return dependence_of_dimensions(mean_z[is_perturbed], mean_s[is_perturbed])


def salient_dependence(mean_s: Tensor, mean_z: Tensor, label: Tensor) -> Tensor:
    """Return the dependence of s on z in control cells; see `dependence_of_dimensions`.

    What control cells do is natural, so an s that does not follow it shows nothing natural in
    perturbed cells, either, but for shifts beyond what controls do. No gradient reaches z.
    """
    is_control = label == NTC_LABEL
    return dependence_of_dimensions(mean_s[is_control], mean_z[is_control])


def dependence_of_dimensions(moved: Tensor, held: Tensor) -> Tensor:
    """Return the dependence of each dimension of one space on another one, summed over dimensions.

    Each is at most 1, and about 0 if independent. One by one, because a distance in the whole space
    hides the dimensions of little variance, from which a classifier reads as well as from others.

    Parameters
    ----------
    moved, held
        Posterior means, (cell, latent) each; no gradient reaches `held`.
    """
    return dependence(gaussian_kernel(moved.T[..., None]), gaussian_kernel(held.detach())).sum()


def label_cross_entropy(logits: Tensor, label: Tensor) -> Tensor:
    """Return minus the log probability that the head gives to each cell's label, in nats, (cell,).

    It is 0 for NTC cells: they shall have no salient state, not one that the head recognises.
    """
    nats = cross_entropy(logits.float(), label, reduction="none")
    return nats.masked_fill(label == NTC_LABEL, 0.0)


class Term(NamedTuple):
    """A term of the objective beside the ELBO.

    Attributes
    ----------
    weight
        Key of section `training` of the configuration that holds its weight.
    arm
        The cells that have the term: "ntc", "perturbed" or "all".
    value
        (inference, label) -> the term of each cell, (cell,), 0 outside its arm; or one number for
        all cells; or None if the model lacks what the term needs.
    is_monitored
        Whether the term helps to choose the best weights.
    """

    weight: str
    arm: str
    value: Callable[[Inference, Tensor], Tensor | None]
    is_monitored: bool


def _wasserstein(inference: Inference, label: Tensor) -> Tensor | None:
    if "s" not in inference.posterior:
        return None
    return wasserstein_to_zero(inference.posterior["s"]).masked_fill(label != NTC_LABEL, 0.0)


def _hsic(inference: Inference, label: Tensor) -> Tensor | None:
    means = {space: posterior.mean for space, posterior in inference.posterior.items()}
    return technical_dependence(means["t"], means.get("s"), label) if "t" in means else None


def _separation(inference: Inference, label: Tensor) -> Tensor | None:
    means = {space: posterior.mean for space, posterior in inference.posterior.items()}
    return background_dependence(means["z"], means["s"], label) if "s" in means else None


def _control_separation(inference: Inference, label: Tensor) -> Tensor | None:
    means = {space: posterior.mean for space, posterior in inference.posterior.items()}
    return salient_dependence(means["s"], means["z"], label) if "s" in means else None


def _label(inference: Inference, label: Tensor) -> Tensor | None:
    logits = inference.label_logits
    return None if logits is None else label_cross_entropy(logits, label)


ADDITIONAL_TERMS: dict[str, Term] = {
    "wasserstein": Term("wasserstein_weight", "ntc", _wasserstein, is_monitored=False),
    "hsic": Term("hsic_weight", "all", _hsic, is_monitored=False),
    "separation": Term("separation_weight", "perturbed", _separation, is_monitored=False),
    "control_separation": Term(
        "control_separation_weight", "ntc", _control_separation, is_monitored=False
    ),
    "label": Term("label_weight", "perturbed", _label, is_monitored=True),
}
ARM_OF_KL = {"s": "perturbed", "z": "all", "t": "all"}
"""NTC cells are decoded with s = 0, so there is no posterior of s to compare with its prior."""


def term_names() -> list[str]:
    """Return what `objective` returns, in the order of the table of metrics."""
    elbo = ["loss", "negative_elbo", "negative_log_likelihood"]
    return [*elbo, *(f"kl_{space}" for space in SPACES), *ADDITIONAL_TERMS]


@dataclass(frozen=True)
class Weights:
    """Weights of the terms; that of the divergences is reached after their warm-up.

    `additional` has the weights of `ADDITIONAL_TERMS`; a term that is not in it counts nothing.
    """

    likelihood_weight: float
    kl_weight: float
    kl_warmup_steps: int
    additional: Mapping[str, float]

    def kl_at(self, step: int) -> float:
        """Return the KL weight at a training step (from 0): a linear ramp that never resets."""
        return self.kl_weight * min(1.0, (step + 1) / max(self.kl_warmup_steps, 1))


def weights_from(settings: Mapping) -> Weights:
    """Return the weights of a model's settings; see `mcvae_ops.training.prepare`."""
    return Weights(
        settings["likelihood_weight"],
        settings["kl_weight"],
        settings["kl_warmup_steps"],
        {name: settings[term.weight] for name, term in ADDITIONAL_TERMS.items()},
    )


def arm_mask(label: Tensor, arm: str) -> Tensor:
    """Return which cells belong to an arm ("ntc", "perturbed" or "all"), bool (cell,)."""
    masks = {"ntc": label == NTC_LABEL, "perturbed": label != NTC_LABEL}
    return masks[arm] if arm in masks else torch.ones_like(label, dtype=torch.bool)


class Totals(NamedTuple):
    """Sums of terms, in nats per cell.

    Attributes
    ----------
    loss
        What training minimises: every term at its weight.
    negative_elbo
        The likelihood at weight 1 and the weighted divergences.
    monitored
        Validation chooses the weights at which this is lowest: the loss without the terms that are
        not monitored.
    """

    loss: Tensor
    negative_elbo: Tensor
    monitored: Tensor


def sum_terms(
    nll: Tensor,
    kl: Mapping[str, Tensor],
    additional: Mapping[str, Tensor],
    weights: Weights,
    kl_weight: float,
) -> Totals:
    """Sum the terms at their weights.

    Parameters
    ----------
    nll, kl, additional
        Negative log likelihood, divergences by space, and additional terms by name; each of them
        one value per cell, 0 outside its arm, or already the mean of these over all cells.
    weights
        Weights of the terms.
    kl_weight
        Weight of the divergences.
    """
    divergence = kl_weight * sum(kl.values())
    fit = (weights.likelihood_weight * nll + divergence).mean()
    weighted = {
        name: weights.additional.get(name, 0.0) * value.mean() for name, value in additional.items()
    }
    monitored = [value for name, value in weighted.items() if ADDITIONAL_TERMS[name].is_monitored]
    return Totals(
        loss=fit + sum(weighted.values()),
        negative_elbo=(nll + divergence).mean(),
        monitored=fit + sum(monitored),
    )


def objective(
    model: ContrastiveVAE,
    images: Tensor,
    label: Tensor,
    inference: Inference,
    weights: Weights,
    step: int,
) -> dict[str, Tensor]:
    """Return the objective and its terms (`term_names`) at a training step.

    All are scalars in nats per cell, except `hsic`, which is a `technical_dependence`,
    `separation`, a `background_dependence`, and `control_separation`, a `salient_dependence`.
    `loss` and `negative_elbo` are means over all cells (see `Totals`); every other term is the mean
    over the cells of its arm. Terms that the model does not have are 0.
    """
    error = squared_error(images, inference.reconstruction)
    n_values = images[0].numel()
    nll = gaussian_nll(error, n_values, log_sigma_of(model, error, n_values))
    kl = divergences(inference, label)
    additional = additional_terms(inference, label)
    totals = sum_terms(nll, kl, additional, weights, weights.kl_at(step))
    terms = dict.fromkeys(term_names(), nll.new_zeros(()))
    terms |= {"loss": totals.loss, "negative_elbo": totals.negative_elbo}
    terms |= {"negative_log_likelihood": nll.mean()}
    arms = {f"kl_{space}": ARM_OF_KL[space] for space in kl}
    arms |= {name: ADDITIONAL_TERMS[name].arm for name in additional}
    values = {f"kl_{space}": value for space, value in kl.items()} | additional
    return terms | {name: _arm_mean(values[name], label, arm) for name, arm in arms.items()}


def divergences(inference: Inference, label: Tensor) -> dict[str, Tensor]:
    """Return the KL divergence of each space that the model has, (cell,), 0 outside its arm."""
    return {
        space: kl_to_unit_gaussian(posterior, inference.prior[space]).masked_fill(
            ~arm_mask(label, ARM_OF_KL[space]), 0.0
        )
        for space, posterior in inference.posterior.items()
    }


def additional_terms(inference: Inference, label: Tensor) -> dict[str, Tensor]:
    """Return the `ADDITIONAL_TERMS` that the model has."""
    values = {name: term.value(inference, label) for name, term in ADDITIONAL_TERMS.items()}
    return {name: value for name, value in values.items() if value is not None}


def _arm_mean(value: Tensor, label: Tensor, arm: str) -> Tensor:
    """Return the mean of a term over an arm, given that it is 0 outside; a scalar as it is."""
    if value.ndim == 0 or arm == "all":
        return value.mean()
    return value.sum() / arm_mask(label, arm).sum().clamp(min=1)
