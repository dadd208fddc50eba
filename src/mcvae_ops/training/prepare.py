"""Prepare a training: its settings, device, preprocessing and validation cells."""

import logging
import math
from dataclasses import dataclass

import numpy as np
import torch

from mcvae_ops.errors import InputError
from mcvae_ops.files import read_rows, read_schema, read_table
from mcvae_ops.models.family import FamilySettings
from mcvae_ops.models.preprocess import PERCENTILES, Preprocessing, batch_scale
from mcvae_ops.shards.crops import Crops
from mcvae_ops.shards.training_cells import Cells
from mcvae_ops.training.leaks import outer_half
from mcvae_ops.training.validate import CELLS_PER_ARM, ValidationSet, choose_validation_cells

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Schedule:
    """Length and learning rate of a training; see section `training` of the configuration."""

    epochs: int
    learning_rate: float
    schedule: str
    gradient_clip_norm: float
    early_stopping_patience: int

    def learning_rate_at(self, step: int, last_step: int) -> float:
        """Return the learning rate of a step (from 0) of `last_step`."""
        if self.schedule == "constant":
            return self.learning_rate
        return self.learning_rate * 0.5 * (1.0 + math.cos(math.pi * step / last_step))


def choose_device(name: str) -> torch.device:
    """Return the device of a configured name; "auto" is CUDA if there is a GPU, else the CPU.

    Raises
    ------
    InputError
        If CUDA is configured and PyTorch has no GPU.
    """
    has_gpu = torch.cuda.is_available()
    if name == "cuda" and not has_gpu:
        raise InputError(
            where="configuration key training.device",
            found="'cuda', but PyTorch has no GPU here",
            expected="a GPU with its driver",
            fix="set it to auto or cpu, or run the job on a node with a GPU",
        )
    if name == "auto":
        name = "cuda" if has_gpu else "cpu"
    return torch.device(name)


def merged_settings(model: dict, training: dict) -> dict:
    """Return the settings of one model: those of `training`, replaced by those of its entry."""
    own = {key: model[key] for key in model if key not in ("training", "weights")}
    return training | own | model["training"]


def fixed_settings(settings: dict) -> dict:
    """Return the settings that decide the weights, out of `merged_settings`."""
    free = {"device", "checkpoint_minutes", "seeds"}
    return {key: value for key, value in settings.items() if key not in free}


def family_settings(settings: dict, n_channels: int, cells: Cells) -> FamilySettings:
    """Return the settings of the network, out of `merged_settings`."""
    keys = set(FamilySettings.__dataclass_fields__) & settings.keys()
    return FamilySettings(
        **{key: settings[key] for key in keys},
        label_head=settings["label_weight"] > 0,
        n_channels=n_channels,
        n_labels=len(cells.labels),
        n_batches=len(cells.batches),
    )


def from_settings(kind: type, settings: dict) -> object:
    """Return a dataclass whose fields are keys of `merged_settings`."""
    return kind(**{key: settings[key] for key in kind.__dataclass_fields__})


def preprocessing(
    settings: dict, statistics: str, channels: list[str], batches: list[str], device: torch.device
) -> Preprocessing:
    """Return the preprocessing of a model, on the device.

    Parameters
    ----------
    settings
        See `merged_settings`.
    statistics
        Table of `mcvae_ops.shards.statistics`: percentiles of NTC cells by batch and channel.
    channels, batches
        Names in the order of the crops and of `Cells.batches`.
    device
        Device of the tensors.

    Raises
    ------
    InputError
        If batches are to be normalised, and the table has no NTC cells of one of them.
    """
    keys = Preprocessing.__dataclass_fields__.keys() & settings.keys()
    plain = {key: settings[key] for key in keys}
    if not settings["normalise_batches"]:
        return Preprocessing(**plain)
    percentiles = control_percentiles(statistics, channels, batches)
    gain, shift, reference = (scale.to(device) for scale in batch_scale(*percentiles))
    return Preprocessing(**plain, gain=gain, shift_counts=shift, reference_counts=reference)


def control_percentiles(
    statistics: str, channels: list[str], batches: list[str]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the two `PERCENTILES` of the counts of NTC cells, each (batch, channel).

    Parameters are those of `preprocessing`.

    Raises
    ------
    InputError
        If the table has no NTC cells of a batch.
    """
    rows = read_table(statistics).to_pylist()
    measured = {(row["batch"], row["channel"]): row for row in rows}
    without_controls = [batch for batch in batches if (batch, channels[0]) not in measured]
    if without_controls:
        raise InputError.missing(
            where="configuration key training.normalise_batches",
            what=f"every NTC cell of batch {without_controls[0]}",
            why="a batch is normalised by its NTC cells",
            fix="set it to false, or leave the batch out of screen.plates",
        )
    lowest, highest = (
        torch.tensor([[measured[batch, name][percent] for name in channels] for batch in batches])
        for percent in (f"p{percent:02d}" for percent in PERCENTILES)
    )
    return lowest, highest


def validation_set(cells: Cells, crops: Crops, index: str, device: torch.device) -> ValidationSet:
    """Return at most `CELLS_PER_ARM` perturbed and NTC cells of the validation split.

    `index` is the shard index, which knows the places of cells.

    Raises
    ------
    InputError
        If an arm has no validation cell.
    """
    positions = cells.in_split("validation")
    arms = [positions[cells.label[positions] != 0], positions[cells.label[positions] == 0]]
    if min(map(len, arms)) == 0:
        raise InputError(
            where="configuration key split.fractions.validation",
            found=f"{len(arms[0])} perturbed and {len(arms[1])} NTC validation cells",
            expected="at least one of each",
            fix="make the fraction larger",
        )
    chosen = np.concatenate([choose_validation_cells(arm, CELLS_PER_ARM) for arm in arms])
    return ValidationSet(
        chosen,
        torch.from_numpy(crops.read(chosen)).to(device),
        *(torch.from_numpy(numbers).to(device) for numbers in cells.labels_and_batches(chosen)),
        _is_outer(index, chosen, device),
    )


def _is_outer(index: str, chosen: np.ndarray, device: torch.device) -> torch.Tensor | None:
    """Return which cells lie in the outer half of their field of view; None if it is not known."""
    names = ["y_px", "x_px"]
    if not set(names) <= set(read_schema(index).names):
        return None
    order = np.argsort(chosen)
    rows = read_rows(index, names, chosen[order])
    y_px, x_px = (rows[name].to_numpy()[np.argsort(order)].astype(float) for name in names)
    if not (np.isfinite(y_px).all() and np.isfinite(x_px).all()):
        return None
    return torch.from_numpy(outer_half(y_px, x_px)).to(device)


def check_range(images: torch.Tensor) -> None:
    """Warn if much of the input is outside (-1, 1), the range of the decoder."""
    outside = (images.abs() >= 1).float().mean().item()
    logger.info("input: mean %.3g, sd %.3g", images.mean(), images.std())
    if outside > 0.01:
        logger.warning(
            "%.1f %% of the pixels are outside (-1, 1), which the decoder cannot reach; "
            "change training.arcsinh_offset and training.arcsinh_scale",
            100 * outside,
        )
