"""Train one model: the training loop, and its rule function."""

import logging
import math
import signal
import sys
from pathlib import Path
from typing import NoReturn

import numpy as np
import pyarrow as pa
import torch

from mcvae_ops.errors import InputError
from mcvae_ops.files import write_parquet
from mcvae_ops.models.family import ContrastiveVAE
from mcvae_ops.models.networks import n_parameters
from mcvae_ops.models.objective import Weights, objective, weights_from
from mcvae_ops.models.preprocess import Preprocessing, augment
from mcvae_ops.models.trained_model import TrainedModel, content_of
from mcvae_ops.progress import Progress
from mcvae_ops.shards.crops import Crops
from mcvae_ops.shards.index import check_channels
from mcvae_ops.shards.sampler import BalancedSampler
from mcvae_ops.shards.training_cells import Cells, read_training_cells
from mcvae_ops.torch_files import save_torch
from mcvae_ops.training.checkpoint import Checkpoint, identity_of, stop_request
from mcvae_ops.training.diagnostics import Meter, PersistentWarnings
from mcvae_ops.training.distributed import Ranks, process_group
from mcvae_ops.training.minibatches import Minibatches
from mcvae_ops.training.precision import Precision, full_precision
from mcvae_ops.training.prepare import (
    Schedule,
    check_range,
    choose_device,
    family_settings,
    fixed_settings,
    from_settings,
    merged_settings,
    preprocessing,
    validation_set,
)
from mcvae_ops.training.reconstructions import sample_table
from mcvae_ops.training.requeue import requeue
from mcvae_ops.training.tensorboard_log import TensorBoardLog
from mcvae_ops.training.validate import ValidationSet, validate

logger = logging.getLogger(__name__)

VALIDATION_STEPS = 2000
"""The model is validated after each epoch, or after so many steps if an epoch is longer."""


def train(
    model: ContrastiveVAE,
    minibatches: Minibatches,
    meter: Meter,
    validation: ValidationSet,
    preprocess: Preprocessing,
    weights: Weights,
    schedule: Schedule,
    precision: Precision,
    seed: int,
    checkpoint: Checkpoint,
    tensorboard_dir: str,
    ranks: Ranks,
) -> tuple[dict[str, torch.Tensor], list[dict]]:
    """Train until the last epoch, or until validation stops improving.

    Every random draw of a step is a function of the seed and the step, so that a killed run resumes
    from its checkpoint and reaches the same weights, bit by bit (on one CPU thread). Of several
    ranks, each draws its own noise, and computes an analytic sigma and the HSIC term from its own
    cells.

    Returns
    -------
    The weights with the lowest ``monitored`` of `validate` on the validation cells, and one row per
    validation and phase for the table of metrics.

    Raises
    ------
    SystemExit
        After SIGTERM or SIGUSR1; the checkpoint is written and a SLURM job is requeued.
    InputError
        If the training diverges.
    """
    device = validation.crops.device
    optimiser = torch.optim.Adam(model.parameters(), lr=schedule.learning_rate, fused=True)
    generator = torch.Generator(device)
    last_step = schedule.epochs * minibatches.steps_per_epoch
    every = min(minibatches.steps_per_epoch, VALIDATION_STEPS)
    step, best, stale = 0, {"monitored": math.inf, "weights": {}}, 0
    rows: list[dict] = []
    persistent_warnings = PersistentWarnings()

    saved = checkpoint.load(device)
    if saved is not None:
        model.load_state_dict(saved["model"])
        optimiser.load_state_dict(saved["optimiser"])
        step, best, stale, rows = (saved[key] for key in ("step", "best", "stale", "rows"))
        meter.load(saved["meter"])
        logger.info("resumed at step %d of %d", step, last_step)

    tensorboard = TensorBoardLog(tensorboard_dir if ranks.rank == 0 else None, step)
    progress = Progress((last_step - step) * ranks.size * minibatches.n_cells, "cells", "train")
    with stop_request() as stop:
        while step < last_step and stale < schedule.early_stopping_patience:
            cells = minibatches.take(step)
            generator.manual_seed(_noise_seed(seed, step) + ranks.rank)
            images = preprocess(cells.crops, cells.batch)
            if preprocess.augmentation:
                images = augment(images, generator)

            learning_rate = schedule.learning_rate_at(step, last_step)
            optimiser.param_groups[0]["lr"] = learning_rate
            with precision.autocast(device):
                inference = model(images, cells.label, cells.batch, generator)
            terms = objective(model, images, cells.label, inference, weights, step)
            optimiser.zero_grad()
            terms["loss"].backward()
            must_stop = ranks.average(model.parameters(), stop.signal is not None)
            torch.nn.utils.clip_grad_norm_(model.parameters(), schedule.gradient_clip_norm)
            optimiser.step()

            step += 1
            meter.add(terms, cells.positions)
            progress.step(ranks.size * minibatches.n_cells)

            if step % every == 0 or step == last_step:
                means = meter.means((step - 1) % every + 1, ranks)
                with full_precision():
                    validated = validate(model, validation, preprocess, weights)
                values = ranks.from_first_rank(validated)
                check_finite(values, step)
                common = {"step": step, "epoch": step / minibatches.steps_per_epoch}
                common |= {"learning_rate": learning_rate}
                rows.append({**common, "phase": "train", **means})
                rows.append({**common, "phase": "validation", **values})
                logger.info("step %d: %s; %s", step, _formatted(values), _formatted(means))
                tensorboard.write("train", means, step)
                tensorboard.write("validation", values, step)
                persistent_warnings.update(values, step)
                stale += 1
                if values["monitored"] < best["monitored"]:
                    state = {name: value.clone() for name, value in model.state_dict().items()}
                    best = {"monitored": values["monitored"], "weights": state}
                    stale = 0

            if must_stop or checkpoint.is_due():
                state = {"step": step, "best": best, "stale": stale, "rows": rows}
                state |= {"meter": meter.state(), "model": model.state_dict()}
                state |= {"optimiser": optimiser.state_dict()}
                if ranks.rank == 0:
                    checkpoint.save(state)
                if must_stop:
                    stop_training(step, ranks)
    return best["weights"], rows


def stop_training(step: int, ranks: Ranks) -> NoReturn:
    """Requeue the SLURM job, and end the process as SIGTERM does."""
    if ranks.rank == 0:
        logger.warning("asked to stop at step %d; checkpoint written", step)
        requeue()
    sys.exit(128 + signal.SIGTERM)


def _noise_seed(seed: int, step: int) -> int:
    return int(np.random.SeedSequence([seed, step]).generate_state(1, np.uint64)[0] >> 1)


def check_finite(values: dict[str, float], step: int) -> None:
    """Raise an `InputError` if the training has diverged."""
    if not math.isfinite(values["negative_elbo"]):
        raise InputError(
            where=f"training, step {step}",
            found=f"a negative ELBO of {values['negative_elbo']}",
            expected="a finite value",
            fix="lower training.learning_rate or training.gradient_clip_norm",
        )


def _formatted(values: dict[str, float | list[float]]) -> str:
    numbers = {name: value for name, value in values.items() if not isinstance(value, list)}
    return ", ".join(f"{name} {value:.4g}" for name, value in sorted(numbers.items()))


def train_model(
    index: str,
    cells: str,
    statistics: str,
    model: dict,
    training: dict,
    model_name: str,
    seed: int,
    channels: list[str],
    pixel_size_um: float | None,
    threads: int,
    memory_mb: int,
    checkpoint_dir: str,
    tensorboard_dir: str,
    weights: str,
    metrics: str,
    samples: str,
) -> None:
    """Train one model; write its best weights, its metrics, and reconstructions.

    Under torchrun this process is one of several; see `mcvae_ops.training.distributed`.

    Parameters
    ----------
    index, cells, statistics
        The shard index, its numbers (rule training_cells), and the intensities of the NTC cells.
    model, training
        The model's entry in `models`, and section `training`; the entry may replace keys of it.
    model_name, seed
        Name of the model and seed of the training; both are saved with the weights.
    channels
        Names of the screen's channels, in the order of the crops.
    pixel_size_um
        Of the crops; saved with the weights, as the scale on which they are to be used.
    threads, memory_mb
        Resources of the job: with more than one thread, minibatches are prefetched; up to half of
        the memory holds crops.
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
    every = read_training_cells(cells)
    crops = Crops(Path(index).parent.parent, every)
    family = family_settings(settings, len(names), every)
    precision = from_settings(Precision, settings)
    with process_group(choose_device(settings["device"])) as (ranks, device):
        # The ranks share the cells, so another number of ranks sees them in another order.
        decisive = fixed | {"seed": seed, "channels": names, "ranks": ranks.size}
        identity = identity_of(decisive, [cells, statistics])
        checkpoint = Checkpoint(checkpoint_dir, identity, 60 * settings["checkpoint_minutes"])
        network = precision.prepare(ContrastiveVAE(family, seed).to(device))
        validation = validation_set(every, crops, index, device)
        preprocess = preprocessing(settings, statistics, names, every.batches, device)
        check_range(preprocess(validation.crops, validation.batch))
        sampler = BalancedSampler(
            crops,
            *arms_of(every),
            settings["batch_size"],
            seed,
            memory_mb * 1_000_000 // (2 * ranks.size),
            (ranks.rank, ranks.size),
            in_background=threads > 1,
        )
        minibatches = Minibatches(sampler, every, device, in_background=threads > 1)
        logger.info(
            "%s, seed %d: %d parameters, %s", model_name, seed, n_parameters(network), device
        )
        best, rows = train(
            network,
            minibatches,
            Meter(minibatches, every, device),
            validation,
            preprocess,
            weights_from(settings),
            from_settings(Schedule, settings),
            precision,
            seed,
            checkpoint,
            tensorboard_dir,
            ranks,
        )
    if ranks.rank == 0:
        network.load_state_dict(best)
        with full_precision():
            table = sample_table(network, validation, index, preprocess, names)
        trained = TrainedModel(
            network=network,
            preprocessing=preprocess,
            name=model_name,
            seed=seed,
            channels=names,
            labels=every.labels,
            batches=every.batches,
            crop={"size_px": crops.shape[-1], "pixel_size_um": pixel_size_um},
            settings=fixed,
            origin=None,
        )
        save_torch(content_of(trained), weights)
        write_parquet(metrics_table(rows), metrics)
        write_parquet(table, samples)
        checkpoint.remove()


def arms_of(cells: Cells) -> tuple[np.ndarray, np.ndarray]:
    """Return the positions of the perturbed and of the NTC cells that are trained on."""
    trained = cells.in_split("train")
    is_ntc = cells.label[trained] == 0
    return trained[~is_ntc], trained[is_ntc]


def metrics_table(rows: list[dict]) -> pa.Table:
    """Return one row per validation and phase; values that a phase does not have are null."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    return pa.table({name: [row.get(name) for row in rows] for name in names})
