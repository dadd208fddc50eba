"""Train one model: the loop, and what it needs."""

import logging
import math
import sys
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch

from mcvae_ops.errors import InputError
from mcvae_ops.files import write_parquet
from mcvae_ops.models.family import ContrastiveVAE
from mcvae_ops.models.networks import n_parameters
from mcvae_ops.models.objective import TERMS, Weights, objective
from mcvae_ops.models.preprocess import Preprocessing
from mcvae_ops.progress import Progress
from mcvae_ops.shards.sampler import BalancedSampler, Cells, Crops, read_cells, read_split
from mcvae_ops.training.checkpoint import Checkpoint, identity_of, save_torch, stop_request
from mcvae_ops.training.prepare import (
    Schedule,
    check_channels,
    check_range,
    choose_device,
    family_settings,
    select,
    validation_set,
)
from mcvae_ops.training.validate import ValidationSet, validate

logger = logging.getLogger(__name__)

VALIDATION_STEPS = 2000
"""Validations come after each epoch, or after so many steps where an epoch is longer."""


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
    InputError
        If the training diverges.
    """
    device = validation.crops.device
    optimiser = torch.optim.Adam(model.parameters(), lr=schedule.learning_rate, fused=True)
    generator = torch.Generator(device)
    last_step = schedule.epochs * sampler.steps_per_epoch
    every = min(sampler.steps_per_epoch, VALIDATION_STEPS)
    step, best, stale = 0, {"negative_elbo": math.inf, "weights": {}}, 0
    rows: list[dict] = []
    sums = torch.zeros(len(TERMS), device=device)

    saved = checkpoint.load(device)
    if saved is not None:
        model.load_state_dict(saved["model"])
        optimiser.load_state_dict(saved["optimiser"])
        step, best, stale, rows, sums = (
            saved[key] for key in ("step", "best", "stale", "rows", "sums")
        )
        logger.info("resumed at step %d of %d", step, last_step)

    started = step, time.monotonic()
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
                seconds = time.monotonic() - started[1]
                speed = (step - started[0]) * len(positions) / seconds
                n_steps = (step - 1) % every + 1
                means = dict(zip(TERMS, (sums / n_steps).tolist(), strict=True))
                values = check_finite(validate(model, validation, preprocess, weights), step)
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
                started = step, time.monotonic()

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


def check_finite(values: dict[str, float], step: int) -> dict[str, float]:
    """Return the values of a validation, unless the training has diverged (InputError)."""
    if not math.isfinite(values["negative_elbo"]):
        raise InputError(
            where=f"training, step {step}",
            found=f"a negative ELBO of {values['negative_elbo']}",
            expected="a finite one",
            fix="lower training.learning_rate or training.gradient_clip_norm",
        )
    return values


def _in_words(values: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in sorted(values.items()))


def train_model(
    index: str,
    splits: str,
    model: dict,
    training: dict,
    model_name: str,
    seed: int,
    channels: list[dict],
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
        The screen's channels, in the order of the crops.
    checkpoint_dir
        Folder for the checkpoint of an interrupted training.
    weights, metrics
        Outputs.
    """
    settings = training | model | model["training"]
    seed = int(seed)
    device = choose_device(settings["device"])
    names = check_channels(channels, index)
    cells = read_cells(index)
    crops = Crops(Path(index).parent.parent, cells)
    split = read_split(index, splits, cells)
    train_cells = np.flatnonzero(split == "train")
    family = family_settings(settings, len(names), cells)
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
    identity = identity_of(fixed | {"seed": seed, "channels": names}, [index, splits])
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
    content = {"model": model_name, "seed": seed, "channels": names, "state": best}
    content |= {"family": asdict(family), "preprocessing": asdict(preprocess)}
    save_torch(content, weights)
    write_parquet(metrics_table(rows), metrics)
    checkpoint.remove()


def metrics_table(rows: list[dict]) -> pa.Table:
    """Return one row per validation and phase; terms that a row does not have are null."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    return pa.table({name: [row.get(name) for row in rows] for name in names})
