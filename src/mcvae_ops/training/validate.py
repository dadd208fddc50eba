"""Validate a model on fixed cells with fixed noise: the objective at full weight, diagnostics."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from mcvae_ops.models.family import ContrastiveVAE, Inference, Posterior
from mcvae_ops.models.objective import (
    ADDITIONAL_TERMS,
    ARM_OF_KL,
    Weights,
    additional_terms,
    arm_mask,
    gaussian_nll,
    kl_per_dimension,
    log_sigma_of,
    squared_error,
    sum_terms,
)
from mcvae_ops.models.preprocess import Preprocessing
from mcvae_ops.training.leaks import leaks

CELLS_PER_ARM = 1024
CELLS_AT_A_TIME = 256
NOISE_SEED = 0
ACTIVE_VARIANCE = 0.01


@dataclass(frozen=True)
class ValidationSet:
    """Fixed cells on which models are validated; attributes as of `Minibatch`.

    `is_outer` says which lie in the outer half of their field of view; None if it is not known.
    """

    positions: np.ndarray
    crops: Tensor
    label: Tensor
    batch: Tensor
    is_outer: Tensor | None

    def parts(self) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Yield the cells, `CELLS_AT_A_TIME` at a time."""
        columns = (self.crops, self.label, self.batch)
        return zip(*(column.split(CELLS_AT_A_TIME) for column in columns), strict=True)


def choose_validation_cells(positions: np.ndarray, n_cells: int) -> np.ndarray:
    """Draw at most `n_cells` of `positions`, ascending; the same for all models and seeds."""
    chosen = np.random.default_rng(NOISE_SEED).permutation(len(positions))[:n_cells]
    return positions[np.sort(chosen)]


@dataclass(frozen=True)
class Outputs:
    """What the model returns for all validation cells.

    Attributes
    ----------
    inference
        Of all cells, without their reconstructions, which would not fit in memory.
    error
        Summed squared error of each cell, (cell,).
    error_added
        By space, of s and z: how much the error from posterior means grows when it is set to 0,
        (cell,).
    """

    inference: Inference
    error: Tensor
    error_added: dict[str, Tensor]


def _apply(model: ContrastiveVAE, cells: ValidationSet, preprocess: Preprocessing) -> Outputs:
    generator = torch.Generator(cells.crops.device).manual_seed(NOISE_SEED)
    inferences, errors, added = [], [], []
    for crops, label, batch in cells.parts():
        images = preprocess(crops, batch)
        inference = model(images, label, batch, generator)
        errors.append(squared_error(images, inference.reconstruction))
        inferences.append(replace(inference, reconstruction=None))
        added.append(_error_added(model, images, batch, inference))
    growths = {space: torch.cat([part[space] for part in added]) for space in added[0]}
    return Outputs(_joined(inferences), torch.cat(errors), growths)


def _error_added(
    model: ContrastiveVAE, images: Tensor, batch: Tensor, inference: Inference
) -> dict[str, Tensor]:
    """Return how much the error grows without s, and without z; see `Outputs`."""
    means = {space: posterior.mean for space, posterior in inference.posterior.items()}
    with_all = squared_error(images, model.decode(means, batch))
    return {
        space: squared_error(
            images, model.decode(means | {space: torch.zeros_like(means[space])}, batch)
        )
        - with_all
        for space in ("s", "z")
        if space in means
    }


def _joined(parts: Sequence[Inference]) -> Inference:
    spaces, has_head = parts[0].posterior, parts[0].label_logits is not None
    posterior = {
        space: Posterior(
            torch.cat([part.posterior[space].mean for part in parts]),
            torch.cat([part.posterior[space].log_variance for part in parts]),
        )
        for space in spaces
    }
    prior = {space: torch.cat([part.prior[space] for part in parts]) for space in spaces}
    logits = torch.cat([part.label_logits for part in parts]) if has_head else None
    return Inference(posterior, prior, None, logits)


@torch.no_grad()
def validate(
    model: ContrastiveVAE, cells: ValidationSet, preprocess: Preprocessing, weights: Weights
) -> dict[str, float | list[float]]:
    """Return the objective at full weight, and the diagnostics.

    Returns
    -------
    The terms of `objective` that the model has, with one sigma for all cells if it is analytic;
    ``monitored``, by which the best weights are chosen (see `Totals`): the negative ELBO, and with
    a head the weighted cross entropy of the label; for each space (s of perturbed cells)

    kl_per_dimension_s, kl_per_dimension_z, kl_per_dimension_t
        Parts of ``kl_s``, ``kl_z``, ``kl_t``, one per latent dimension.
    active_units_s, active_units_z, active_units_t
        Number of dimensions whose posterior mean has a variance over cells above
        `ACTIVE_VARIANCE`.

    nats_without_z
        Log likelihood that perturbed cells lose if z is set to 0, as ``nats_without_s``.
    kl_z_ntc
        ``kl_z`` of control cells alone: what z knows of a cell, beside what it should not know.

    the `leaks` of both spaces; and with a salient space

    mean_abs_s_ntc, mean_abs_s_perturbed
        Mean absolute posterior mean of s; that of NTC cells should be smaller.
    nats_without_s
        Log likelihood that perturbed cells lose if s is set to 0 before they are decoded from their
        posterior means; if it is near 0, the decoder ignores s.

    References
    ----------
    Active units: Burda et al. 2016, arXiv:1509.00519.
    """
    model.eval()
    outputs = _apply(model, cells, preprocess)
    model.train()
    n_values = model.settings.n_channels * model.settings.input_size_px**2
    log_sigma = log_sigma_of(model, outputs.error, n_values)
    nll = gaussian_nll(outputs.error, n_values, log_sigma).mean()
    kl, kl_values = _divergences(outputs.inference, cells.label)
    additional, additional_values = _additional(outputs.inference, cells.label)
    values = {"negative_log_likelihood": nll} | kl_values | additional_values
    values |= _nats_saved(outputs, cells.label, log_sigma)
    values["kl_z_ntc"] = _kl_of_controls(outputs.inference, cells.label)
    if "s" in outputs.inference.posterior:
        values |= _size_of_s(outputs.inference.posterior["s"].mean.abs(), cells.label)
    generator = torch.Generator(cells.crops.device).manual_seed(NOISE_SEED)
    values |= leaks(
        outputs.inference.posterior, cells.label, cells.batch, cells.is_outer, generator
    )
    values |= sum_terms(nll, kl, additional, weights, weights.kl_weight)._asdict()
    return {name: value.tolist() for name, value in values.items()}


def _divergences(
    inference: Inference, label: Tensor
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Return the divergences as means over all cells, and as values over the cells of their arm."""
    kl, values = {}, {}
    for space, posterior in inference.posterior.items():
        in_arm = arm_mask(label, ARM_OF_KL[space])
        nats = kl_per_dimension(posterior, inference.prior[space])[in_arm].mean(dim=0)
        is_active = posterior.mean[in_arm].var(dim=0) > ACTIVE_VARIANCE
        values |= {f"kl_{space}": nats.sum(), f"kl_per_dimension_{space}": nats}
        values |= {f"active_units_{space}": is_active.sum()}
        kl[space] = nats.sum() * in_arm.float().mean()
    return kl, values


def _additional(inference: Inference, label: Tensor) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Return the additional terms as means over all cells, and over the cells of their arm."""
    additional, values = {}, {}
    for name, value in additional_terms(inference, label).items():
        in_arm = arm_mask(label, ADDITIONAL_TERMS[name].arm)
        values[name] = value[in_arm].mean() if value.ndim else value
        additional[name] = values[name] * in_arm.float().mean()
    return additional, values


def _nats_saved(outputs: Outputs, label: Tensor, log_sigma: Tensor) -> dict[str, Tensor]:
    perturbed = arm_mask(label, "perturbed")
    return {
        f"nats_without_{space}": 0.5 * added[perturbed].mean() * torch.exp(-2.0 * log_sigma)
        for space, added in outputs.error_added.items()
    }


def _kl_of_controls(inference: Inference, label: Tensor) -> Tensor:
    nats = kl_per_dimension(inference.posterior["z"], inference.prior["z"]).sum(dim=1)
    return nats[arm_mask(label, "ntc")].mean()


def _size_of_s(size: Tensor, label: Tensor) -> dict[str, Tensor]:
    return {
        "mean_abs_s_ntc": size[arm_mask(label, "ntc")].mean(),
        "mean_abs_s_perturbed": size[arm_mask(label, "perturbed")].mean(),
    }
