"""Validation: the full-weight objective on fixed cells with fixed noise, and the diagnostics."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mcvae_ops.models.family import NTC_LABEL, ContrastiveVAE, Inference
from mcvae_ops.models.objective import (
    Weights,
    gaussian_nll,
    kl_per_dimension,
    label_cross_entropy,
    log_sigma_of,
    squared_error,
    technical_dependence,
    wasserstein_to_zero,
)
from mcvae_ops.models.preprocess import Preprocessing

CELLS_PER_ARM = 1024
CELLS_AT_A_TIME = 256
NOISE_SEED = 0
ACTIVE_VARIANCE = 0.01


@dataclass(frozen=True)
class ValidationSet:
    """Fixed cells: positions in the index; crops uint16 (cell, channel, y, x); label, batch."""

    positions: np.ndarray
    crops: Tensor
    label: Tensor
    batch: Tensor

    def parts(self) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Yield the cells, `CELLS_AT_A_TIME` at a time."""
        columns = (self.crops, self.label, self.batch)
        return zip(*(column.split(CELLS_AT_A_TIME) for column in columns), strict=True)


def choose_cells(positions: np.ndarray, n_cells: int) -> np.ndarray:
    """Return at most `n_cells` of `positions`, ascending; the same for all models and seeds."""
    chosen = np.random.default_rng(NOISE_SEED).permutation(len(positions))[:n_cells]
    return positions[np.sort(chosen)]


def _collect(
    model: ContrastiveVAE, cells: ValidationSet, preprocess: Preprocessing
) -> dict[str, Tensor]:
    generator = torch.Generator(cells.crops.device).manual_seed(NOISE_SEED)
    parts = []
    for crops, label, batch in cells.parts():
        images = preprocess(crops, batch)
        inference = model(images, label, batch, generator)
        columns = _per_cell(model, images, batch, inference)
        parts.append(columns | {"label": label_cross_entropy(inference, label)})
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def _per_cell(
    model: ContrastiveVAE, images: Tensor, batch: Tensor, inference: Inference
) -> dict[str, Tensor]:
    posterior = inference.posterior
    columns = {"error": squared_error(images, inference.reconstruction)}
    for space, one in posterior.items():
        columns[f"mean_{space}"] = one.mean
        columns[f"kl_{space}"] = kl_per_dimension(one, inference.prior[space])
    if "s" not in posterior:
        return columns
    means = {space: one.mean for space, one in posterior.items()}
    with_s, without_s = (
        squared_error(images, model.decode(means | {"s": mean}, batch))
        for mean in (means["s"], torch.zeros_like(means["s"]))
    )
    return columns | {
        "wasserstein": wasserstein_to_zero(posterior["s"]),
        "error_added_without_s": without_s - with_s,
    }


@torch.no_grad()
def validate(
    model: ContrastiveVAE, cells: ValidationSet, preprocess: Preprocessing, weights: Weights
) -> dict[str, float | list[float]]:
    """Return the objective at full weight, and the diagnostics.

    Returns
    -------
    The terms of `objective` that the model has, with one sigma for all cells if it is analytic;
    ``monitored``, the loss without its penalties, by which the best weights are chosen: the
    negative ELBO, and with a head the weighted cross entropy of the label; for each space (s of
    perturbed cells)

    kl_per_dimension_s, kl_per_dimension_z, kl_per_dimension_t
        Parts of ``kl_s``, ``kl_z``, ``kl_t``, one for each latent dimension.
    active_units_s, active_units_z, active_units_t
        Dimensions whose posterior mean varies over cells by more than `ACTIVE_VARIANCE`.

    and with a salient space

    mean_abs_s_ntc, mean_abs_s_perturbed
        Mean absolute posterior mean of s; that of NTC should be the smaller.
    nats_without_s
        Log likelihood that perturbed cells lose when they are decoded from their posterior means
        with s set to 0; near 0 the decoder ignores s.

    References
    ----------
    Active units: Burda et al. 2016, arXiv:1509.00519.
    """
    model.eval()
    columns = _collect(model, cells, preprocess)
    model.train()
    is_ntc = cells.label == NTC_LABEL
    n_values = model.settings.n_channels * model.settings.input_size_px**2
    log_sigma = log_sigma_of(model, columns["error"], n_values)
    nll = gaussian_nll(columns["error"], n_values, log_sigma).mean()
    values = {"negative_log_likelihood": nll}
    divergence = torch.zeros_like(nll)
    for space in model.settings.latent():
        seen = ~is_ntc if space == "s" else torch.ones_like(is_ntc)
        kl = columns[f"kl_{space}"][seen].mean(dim=0)
        is_active = columns[f"mean_{space}"][seen].var(dim=0) > ACTIVE_VARIANCE
        values |= {f"kl_{space}": kl.sum(), f"kl_per_dimension_{space}": kl}
        values |= {f"active_units_{space}": is_active.sum()}
        divergence = divergence + weights.kl_weight * kl.sum() * seen.float().mean()
    label = columns["label"]
    monitored = weights.likelihood_weight * nll + divergence + weights.label_weight * label.mean()
    loss = monitored
    if "mean_s" in columns:
        values |= _salient(columns, is_ntc, log_sigma)
        penalty = values["wasserstein"] * is_ntc.float().mean()
        loss = loss + weights.wasserstein_weight * penalty
    if "mean_t" in columns:
        hsic = technical_dependence(columns["mean_t"], columns.get("mean_s"), cells.label)
        loss = loss + weights.hsic_weight * hsic
        values |= {"hsic": hsic}
    if model.label_head is not None:
        values |= {"label": label[~is_ntc].mean()}
    values |= {"negative_elbo": nll + divergence, "monitored": monitored, "loss": loss}
    return {name: value.tolist() for name, value in values.items()}


def _salient(columns: dict[str, Tensor], is_ntc: Tensor, log_sigma: Tensor) -> dict[str, Tensor]:
    mean_s = columns["mean_s"].abs()
    added = columns["error_added_without_s"][~is_ntc].mean()
    return {
        "wasserstein": columns["wasserstein"][is_ntc].mean(),
        "mean_abs_s_ntc": mean_s[is_ntc].mean(),
        "mean_abs_s_perturbed": mean_s[~is_ntc].mean(),
        "nats_without_s": 0.5 * added * torch.exp(-2.0 * log_sigma),
    }
