"""Train one model: the loop, and what it needs."""

import logging
import math
import signal
import sys
from dataclasses import asdict
from pathlib import Path
from typing import NoReturn

import numpy as np
import pyarrow as pa
import torch

from mcvae_ops.errors import InputError
from mcvae_ops.files import write_parquet
from mcvae_ops.models.family import ContrastiveVAE
from mcvae_ops.models.networks import n_parameters
from mcvae_ops.models.objective import Weights, objective
from mcvae_ops.models.preprocess import Preprocessing, augment
from mcvae_ops.progress import Progress
from mcvae_ops.shards.crops import Crops
from mcvae_ops.shards.index import check_channels
from mcvae_ops.shards.sampler import BalancedSampler
from mcvae_ops.shards.training_cells import read_cells, read_split
from mcvae_ops.training.batches import Batches
from mcvae_ops.training.checkpoint import Checkpoint, identity_of, save_torch, stop_request
from mcvae_ops.training.diagnostics import Meter, Watch
from mcvae_ops.training.distributed import Ranks, joined
from mcvae_ops.training.precision import Arithmetic, exact
from mcvae_ops.training.prepare import (
    Schedule,
    check_range,
    choose_device,
    family_settings,
    fixed_settings,
    merged_settings,
    preprocessing,
    select,
    validation_set,
)
from mcvae_ops.training.reconstructions import sample_table
from mcvae_ops.training.requeue import requeue
from mcvae_ops.training.tensorboard_log import Scalars
from mcvae_ops.training.validate import ValidationSet, validate

logger = logging.getLogger(__name__)

VALIDATION_STEPS = 2000
"""Validations come after each epoch, or after so many steps where an epoch is longer."""


def train(
    model: ContrastiveVAE,
    batches: Batches,
    meter: Meter,
    validation: ValidationSet,
    preprocess: Preprocessing,
    weights: Weights,
    schedule: Schedule,
    arithmetic: Arithmetic,
    seed: int,
    checkpoint: Checkpoint,
    tensorboard_dir: str,
    ranks: Ranks,
) -> tuple[dict[str, torch.Tensor], list[dict]]:
    """Train until the last epoch or until validation stops improving.

    Every random draw of a step is a function of the seed and the step, so that a run that was
    killed goes on from its checkpoint to the same weights, bit by bit (on one CPU thread). With
    several ranks each draws its own noise, and an analytic sigma and the HSIC penalty are those of
    the rank's own cells.

    Returns
    -------
    The weights with the lowest ``monitored`` of `validate` on the validation cells, and one row per
    validation and phase for the table of metrics.

    Raises
    ------
    SystemExit
        After SIGTERM or SIGUSR1, with the checkpoint written and a SLURM job back in its queue.
    InputError
        If the training diverges.
    """
    device = validation.crops.device
    optimiser = torch.optim.Adam(model.parameters(), lr=schedule.learning_rate, fused=True)
    generator = torch.Generator(device)
    last_step = schedule.epochs * batches.steps_per_epoch
    every = min(batches.steps_per_epoch, VALIDATION_STEPS)
    step, best, stale = 0, {"monitored": math.inf, "weights": {}}, 0
    rows: list[dict] = []
    watch = Watch()

    saved = checkpoint.load(device)
    if saved is not None:
        model.load_state_dict(saved["model"])
        optimiser.load_state_dict(saved["optimiser"])
        step, best, stale, rows = (saved[key] for key in ("step", "best", "stale", "rows"))
        meter.load(saved["meter"])
        logger.info("resumed at step %d of %d", step, last_step)

    scalars = Scalars(tensorboard_dir if ranks.rank == 0 else None, step)
    progress = Progress((last_step - step) * ranks.size * batches.n_cells, "cells", "train")
    with stop_request() as stop:
        while step < last_step and stale < schedule.early_stopping_patience:
            cells = batches.take(step)
            generator.manual_seed(_noise_seed(seed, step) + ranks.rank)
            images = preprocess(cells.crops, cells.batch)
            if preprocess.augmentation:
                images = augment(images, generator)

            learning_rate = schedule.learning_rate_at(step, last_step)
            optimiser.param_groups[0]["lr"] = learning_rate
            with arithmetic.autocast(device):
                inference = model(images, cells.label, cells.batch, generator)
            terms = objective(model, images, cells.label, inference, weights, step)
            optimiser.zero_grad()
            terms["loss"].backward()
            is_asked = ranks.average(model.parameters(), stop.signal is not None)
            torch.nn.utils.clip_grad_norm_(model.parameters(), schedule.gradient_clip_norm)
            optimiser.step()

            step += 1
            meter.add(terms, cells.positions)
            progress.step(ranks.size * batches.n_cells)

            if step % every == 0 or step == last_step:
                means = meter.means((step - 1) % every + 1, ranks)
                with exact():
                    found = validate(model, validation, preprocess, weights)
                values = ranks.of_first(found)
                check_finite(values, step)
                common = {"step": step, "epoch": step / batches.steps_per_epoch}
                common |= {"learning_rate": learning_rate}
                rows.append({**common, "phase": "train", **means})
                rows.append({**common, "phase": "validation", **values})
                logger.info("step %d: %s; %s", step, _in_words(values), _in_words(means))
                scalars.write("train", means, step)
                scalars.write("validation", values, step)
                watch.tell(values, step)
                stale += 1
                if values["monitored"] < best["monitored"]:
                    state = {name: value.clone() for name, value in model.state_dict().items()}
                    best = {"monitored": values["monitored"], "weights": state}
                    stale = 0

            if is_asked or checkpoint.is_due():
                state = {"step": step, "best": best, "stale": stale, "rows": rows}
                state |= {"meter": meter.state(), "model": model.state_dict()}
                state |= {"optimiser": optimiser.state_dict()}
                if ranks.rank == 0:
                    checkpoint.save(state)
                if is_asked:
                    end_turn(step, ranks)
    return best["weights"], rows


def end_turn(step: int, ranks: Ranks) -> NoReturn:
    """End the process as SIGTERM does, with its SLURM job back in the queue."""
    if ranks.rank == 0:
        logger.warning("asked to stop at step %d; checkpoint written", step)
        requeue()
    sys.exit(128 + signal.SIGTERM)


def _noise_seed(seed: int, step: int) -> int:
    return int(np.random.SeedSequence([seed, step]).generate_state(1, np.uint64)[0] >> 1)


def check_finite(values: dict[str, float], step: int) -> None:
    """Raise an InputError if the training has diverged."""
    if not math.isfinite(values["negative_elbo"]):
        raise InputError(
            where=f"training, step {step}",
            found=f"a negative ELBO of {values['negative_elbo']}",
            expected="a finite one",
            fix="lower training.learning_rate or training.gradient_clip_norm",
        )


def _in_words(values: dict[str, float | list[float]]) -> str:
    numbers = {name: value for name, value in values.items() if not isinstance(value, list)}
    return ", ".join(f"{name} {value:.4g}" for name, value in sorted(numbers.items()))


def train_model(
    index: str,
    splits: str,
    statistics: str,
    model: dict,
    training: dict,
    model_name: str,
    seed: int,
    channels: list[str],
    threads: int,
    memory_mb: int,
    checkpoint_dir: str,
    tensorboard_dir: str,
    weights: str,
    metrics: str,
    samples: str,
) -> None:
    """Train one model of the configuration; write its best weights, its metrics, and pictures.

    Under torchrun this process is one of several, see `mcvae_ops.training.distributed`.

    Parameters
    ----------
    index, splits, statistics
        The shard index, the split of each of its cells, and the intensities of the NTC cells.
    model, training
        The model's entry in `models`, and `training`, of which it may change keys.
    model_name, seed
        Names of the model and of the training, kept with the weights.
    channels
        The screen's channels, in the order of the crops.
    threads, memory_mb
        Of the job: with more than one thread batches are read ahead; up to half of the memory
        holds crops.
    checkpoint_dir
        Folder for the checkpoint of an interrupted training.
    tensorboard_dir
        Folder for scalars that TensorBoard shows while the training runs.
    weights, metrics, samples
        Outputs; see `mcvae_ops.training.reconstructions` for the last.
    """
    settings = merged_settings(model, training)
    fixed = fixed_settings(settings)
    names = check_channels(channels, index)
    cells = read_cells(index)
    crops = Crops(Path(index).parent.parent, cells)
    split = read_split(index, splits, cells)
    train_cells = np.flatnonzero(split == "train")
    family = family_settings(settings, len(names), cells)
    arithmetic = select(Arithmetic, settings)
    with joined(choose_device(settings["device"])) as (ranks, device):
        # The ranks share out the cells: another number of them takes them in another order.
        decisive = fixed | {"seed": seed, "channels": names, "ranks": ranks.size}
        identity = identity_of(decisive, [index, splits, statistics])
        checkpoint = Checkpoint(checkpoint_dir, identity, 60 * settings["checkpoint_minutes"])
        network = arithmetic.prepare(ContrastiveVAE(family, seed).to(device))
        validation = validation_set(cells, crops, np.flatnonzero(split == "validation"), device)
        preprocess = preprocessing(settings, statistics, names, cells.batches, device)
        check_range(preprocess(validation.crops, validation.batch))
        sampler = BalancedSampler(
            crops,
            train_cells[cells.label[train_cells] != 0],
            train_cells[cells.label[train_cells] == 0],
            settings["batch_size"],
            seed,
            memory_mb * 1_000_000 // (2 * ranks.size),
            (ranks.rank, ranks.size),
            in_background=threads > 1,
        )
        batches = Batches(sampler, cells, device, in_background=threads > 1)
        logger.info(
            "%s, seed %d: %d parameters, %s", model_name, seed, n_parameters(network), device
        )
        best, rows = train(
            network,
            batches,
            Meter(batches, cells, device),
            validation,
            preprocess,
            select(Weights, settings),
            select(Schedule, settings),
            arithmetic,
            seed,
            checkpoint,
            tensorboard_dir,
            ranks,
        )
    if ranks.rank == 0:
        network.load_state_dict(best)
        with exact():
            table = sample_table(network, validation, cells, preprocess, names)
        content = {"model": model_name, "seed": seed, "channels": names, "settings": fixed}
        content |= {"state": best}
        content |= {"family": asdict(family), "preprocessing": asdict(preprocess)}
        save_torch(content, weights)
        write_parquet(metrics_table(rows), metrics)
        write_parquet(table, samples)
        checkpoint.remove()


def metrics_table(rows: list[dict]) -> pa.Table:
    """Return one row per validation and phase; terms that a row does not have are null."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    return pa.table({name: [row.get(name) for row in rows] for name in names})
