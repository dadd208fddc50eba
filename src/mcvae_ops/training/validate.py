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
    log_sigma_of,
    squared_error,
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
        images = preprocess(crops)
        inference = model(images, label, batch, generator)
        parts.append(_per_cell(model, images, batch, inference))
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def _per_cell(
    model: ContrastiveVAE, images: Tensor, batch: Tensor, inference: Inference
) -> dict[str, Tensor]:
    z, s = inference.z, inference.s
    columns = {
        "error": squared_error(images, inference.reconstruction),
        "kl_z": kl_per_dimension(z, inference.prior_z),
        "mean_z": z.mean,
    }
    if s is None or inference.prior_s is None:
        return columns
    with_s, without_s = (
        squared_error(images, model.decode(mean, z.mean, batch))
        for mean in (s.mean, torch.zeros_like(s.mean))
    )
    return columns | {
        "kl_s": kl_per_dimension(s, inference.prior_s),
        "wasserstein": wasserstein_to_zero(s),
        "mean_s": s.mean,
        "error_added_without_s": without_s - with_s,
    }


@torch.no_grad()
def validate(
    model: ContrastiveVAE, cells: ValidationSet, preprocess: Preprocessing, weights: Weights
) -> dict[str, float | list[float]]:
    """Return the objective at full weight, and the diagnostics.

    Returns
    -------
    The terms of `objective`, in nats per cell, with one sigma for all cells if it is analytic, and

    kl_per_dimension_z, kl_per_dimension_s
        Parts of ``kl_z`` and ``kl_s``, one for each latent dimension.
    active_units_z, active_units_s
        Dimensions whose posterior mean varies over (perturbed) cells by more than
        `ACTIVE_VARIANCE`.
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
    kl_z = columns["kl_z"].mean(dim=0)
    negative_elbo = nll + weights.kl_weight * kl_z.sum()
    loss = negative_elbo
    values = {
        "negative_log_likelihood": nll,
        "kl_z": kl_z.sum(),
        "kl_per_dimension_z": kl_z,
        "active_units_z": (columns["mean_z"].var(dim=0) > ACTIVE_VARIANCE).sum(),
    }
    if model.salient_encoder is not None:
        salient = _salient(columns, is_ntc, log_sigma)
        share_ntc = is_ntc.float().mean()
        negative_elbo = negative_elbo + weights.kl_weight * salient["kl_s"] * (1 - share_ntc)
        loss = negative_elbo + weights.wasserstein_weight * salient["wasserstein"] * share_ntc
        values |= salient
    values |= {"negative_elbo": negative_elbo, "loss": loss}
    return {name: value.tolist() for name, value in values.items()}


def _salient(columns: dict[str, Tensor], is_ntc: Tensor, log_sigma: Tensor) -> dict[str, Tensor]:
    mean_s = columns["mean_s"]
    added = columns["error_added_without_s"][~is_ntc].mean()
    kl_s = columns["kl_s"][~is_ntc].mean(dim=0)
    return {
        "kl_s": kl_s.sum(),
        "kl_per_dimension_s": kl_s,
        "wasserstein": columns["wasserstein"][is_ntc].mean(),
        "active_units_s": (mean_s[~is_ntc].var(dim=0) > ACTIVE_VARIANCE).sum(),
        "mean_abs_s_ntc": mean_s[is_ntc].abs().mean(),
        "mean_abs_s_perturbed": mean_s[~is_ntc].abs().mean(),
        "nats_without_s": 0.5 * added * torch.exp(-2.0 * log_sigma),
    }
