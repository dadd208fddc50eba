"""Train one model: the loop, and what it needs."""

import logging
import math
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch

from mcvae_ops.errors import InputError
from mcvae_ops.files import write_parquet
from mcvae_ops.models.family import ContrastiveVAE, FamilySettings
from mcvae_ops.models.networks import n_parameters
from mcvae_ops.models.objective import TERMS, Weights, objective
from mcvae_ops.models.preprocess import Preprocessing
from mcvae_ops.progress import Progress
from mcvae_ops.shards.sampler import BalancedSampler, Cells, Crops, read_cells, read_split
from mcvae_ops.training.checkpoint import Checkpoint, identity_of, save_torch, stop_request
from mcvae_ops.training.validate import CELLS_PER_ARM, ValidationSet, choose_cells, validate

logger = logging.getLogger(__name__)

VALIDATION_STEPS = 2000
"""A validation comes at the end of each epoch, and after so many steps in a longer one."""


@dataclass(frozen=True)
class Schedule:
    """How long, how fast; see the `training` section of the configuration."""

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


def train(
    model: ContrastiveVAE,
    sampler: BalancedSampler,
    cells: Cells,
    validation: ValidationSet,
    preprocess: Preprocessing,
    weights: Weights,
    schedule: Schedule,
    seed: int,
    checkpoint: Checkpoint,
) -> tuple[dict[str, torch.Tensor], list[dict]]:
    """Train until the last epoch or until validation stops improving.

    Every random draw of a step is a function of the seed and the step, so that a run that was
    killed goes on from its checkpoint to the same weights, bit by bit (on one CPU thread).

    Returns
    -------
    The weights with the lowest full-weight negative ELBO on the validation cells, and one row per
    validation and phase for the table of metrics.

    Raises
    ------
    SystemExit
        After SIGTERM, with the checkpoint written.
    """
    device = validation.crops.device
    optimiser = torch.optim.Adam(model.parameters(), lr=schedule.learning_rate, fused=True)
    generator = torch.Generator(device)
    last_step = schedule.epochs * sampler.steps_per_epoch
    every = min(sampler.steps_per_epoch, VALIDATION_STEPS)
    step, best, stale = 0, {"negative_elbo": math.inf, "weights": {}}, 0
    rows: list[dict] = []
    sums, started_s = torch.zeros(len(TERMS), device=device), time.monotonic()

    saved = checkpoint.load(device)
    if saved is not None:
        model.load_state_dict(saved["model"])
        optimiser.load_state_dict(saved["optimiser"])
        step, best, stale, rows, sums = (
            saved[key] for key in ("step", "best", "stale", "rows", "sums")
        )
        logger.info("resumed at step %d of %d", step, last_step)

    progress = Progress((last_step - step) * 2 * sampler.half, "cells", "train")
    with stop_request() as stop:
        while step < last_step and stale < schedule.early_stopping_patience:
            positions, crops = sampler.batch(step)
            images = preprocess(torch.from_numpy(crops).to(device))
            label = torch.from_numpy(cells.label[positions]).to(device)
            batch = torch.from_numpy(cells.batch[positions]).to(device)

            generator.manual_seed(_noise_seed(seed, step))
            learning_rate = schedule.learning_rate_at(step, last_step)
            optimiser.param_groups[0]["lr"] = learning_rate
            inference = model(images, label, batch, generator)
            kl_weight = weights.kl_at(step)
            terms = objective(
                model, images, label, inference, kl_weight, weights.wasserstein_weight
            )
            optimiser.zero_grad()
            terms["loss"].backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), schedule.gradient_clip_norm)
            optimiser.step()

            step += 1
            sums += torch.stack([terms[name].detach() for name in TERMS])
            progress.step(len(positions))

            if step % every == 0 or step == last_step:
                n_steps = (step - 1) % every + 1
                speed = n_steps * len(positions) / (time.monotonic() - started_s)
                means = dict(zip(TERMS, (sums / n_steps).tolist(), strict=True))
                values = validate(model, validation, preprocess, weights)
                where = {"step": step, "epoch": step / sampler.steps_per_epoch}
                common = where | {"learning_rate": learning_rate}
                rows.append({**common, "phase": "train", "cells_per_s": speed, **means})
                rows.append({**common, "phase": "validation", **values})
                logger.info("step %d: %s", step, _in_words(values))
                stale += 1
                if values["negative_elbo"] < best["negative_elbo"]:
                    state = {name: value.clone() for name, value in model.state_dict().items()}
                    best = {"negative_elbo": values["negative_elbo"], "weights": state}
                    stale = 0
                sums.zero_()
                started_s = time.monotonic()

            if stop.signal is not None or checkpoint.is_due():
                state = {"step": step, "best": best, "stale": stale, "rows": rows, "sums": sums}
                state |= {"model": model.state_dict(), "optimiser": optimiser.state_dict()}
                checkpoint.save(state)
                if stop.signal is not None:
                    logger.warning("asked to stop at step %d; checkpoint written", step)
                    sys.exit(128 + stop.signal)
    return best["weights"], rows


def _noise_seed(seed: int, step: int) -> int:
    return int(np.random.SeedSequence([seed, step]).generate_state(1, np.uint64)[0] >> 1)


def _in_words(values: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in sorted(values.items()))


def choose_device(name: str) -> torch.device:
    """Return the device of a configured name; "auto" takes CUDA where there is one."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def family_settings(settings: dict, n_channels: int, cells: Cells) -> FamilySettings:
    """Return the model's part of the merged configuration of a model."""
    keys = set(FamilySettings.__dataclass_fields__) - {"n_channels", "n_labels", "n_batches"}
    return FamilySettings(
        **{key: settings[key] for key in keys},
        n_channels=n_channels,
        n_labels=len(cells.labels),
        n_batches=len(cells.batches),
    )


def select(kind: type, settings: dict) -> object:
    """Return the dataclass `kind` with its keys taken from the merged configuration."""
    return kind(**{key: settings[key] for key in kind.__dataclass_fields__})


def validation_set(
    cells: Cells, crops: Crops, positions: np.ndarray, device: torch.device
) -> ValidationSet:
    """Return at most `CELLS_PER_ARM` perturbed and NTC cells of the validation split.

    Raises
    ------
    InputError
        If there is no validation cell of one arm.
    """
    arms = [positions[cells.label[positions] != 0], positions[cells.label[positions] == 0]]
    if min(map(len, arms)) == 0:
        raise InputError(
            where="configuration key split.fractions.validation",
            found=f"{len(arms[0])} perturbed and {len(arms[1])} NTC validation cells",
            expected="cells of both",
            fix="make the fraction larger",
        )
    chosen = np.concatenate([choose_cells(arm, CELLS_PER_ARM) for arm in arms])
    return ValidationSet(
        torch.from_numpy(crops.read(chosen)).to(device),
        torch.from_numpy(cells.label[chosen]).to(device),
        torch.from_numpy(cells.batch[chosen]).to(device),
    )


def check_range(images: torch.Tensor) -> None:
    """Warn when much of the data lies outside (-1, 1), where the decoder cannot follow."""
    outside = (images.abs() >= 1).float().mean().item()
    logger.info("input: mean %.3g, sd %.3g", images.mean(), images.std())
    if outside > 0.01:
        logger.warning(
            "%.1f %% of the pixels lie outside (-1, 1), which the decoder cannot reach; "
            "change training.arcsinh_offset and training.arcsinh_scale",
            100 * outside,
        )


def train_model(
    index: str,
    splits: str,
    model: dict,
    training: dict,
    model_name: str,
    seed: int,
    channels: list[str],
    checkpoint_dir: str,
    weights: str,
    metrics: str,
) -> None:
    """Train one model of the configuration; write its best weights and its metrics.

    Parameters
    ----------
    index, splits
        The shard index and the split of each of its cells.
    model, training
        The model's entry in `models`, and `training`, of which it may change keys.
    model_name, seed
        Names of the model and of the training, kept with the weights.
    channels
        Names of the channels, in the order of the crops.
    checkpoint_dir
        Folder for the checkpoint of an interrupted training.
    weights, metrics
        Outputs.
    """
    settings = training | model | model["training"]
    seed = int(seed)
    device = choose_device(settings["device"])
    cells = read_cells(index)
    crops = Crops(Path(index).parent.parent, cells)
    split = read_split(index, splits, cells)
    train_cells = np.flatnonzero(split == "train")
    family = family_settings(settings, len(channels), cells)
    network = ContrastiveVAE(family, seed).to(device)
    preprocess = select(Preprocessing, settings)
    validation = validation_set(cells, crops, np.flatnonzero(split == "validation"), device)
    check_range(preprocess(validation.crops))
    sampler = BalancedSampler(
        crops,
        train_cells[cells.label[train_cells] != 0],
        train_cells[cells.label[train_cells] == 0],
        settings["batch_size"],
        seed,
    )
    free = {"device", "checkpoint_minutes", "seeds", "training"}
    fixed = {key: value for key, value in settings.items() if key not in free}
    identity = identity_of(fixed | {"seed": seed, "channels": channels}, [index, splits])
    checkpoint = Checkpoint(checkpoint_dir, identity, 60 * settings["checkpoint_minutes"])
    logger.info("%s, seed %d: %d parameters, %s", model_name, seed, n_parameters(network), device)
    best, rows = train(
        network,
        sampler,
        cells,
        validation,
        preprocess,
        select(Weights, settings),
        select(Schedule, settings),
        seed,
        checkpoint,
    )
    content = {"model": model_name, "seed": seed, "channels": channels, "state": best}
    content |= {"family": asdict(family), "preprocessing": asdict(preprocess)}
    save_torch(content, weights)
    write_parquet(metrics_table(rows), metrics)
    checkpoint.remove()


def metrics_table(rows: list[dict]) -> pa.Table:
    """Return one row per validation and phase; terms that a row does not have are null."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    return pa.table({name: [row.get(name) for row in rows] for name in names})
