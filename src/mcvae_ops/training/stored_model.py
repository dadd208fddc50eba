"""Use a model that another run has trained: fit its file of weights to the cells of this run."""

import logging
import math
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from mcvae_ops.files import write_parquet
from mcvae_ops.models.family import ContrastiveVAE
from mcvae_ops.models.objective import weights_from
from mcvae_ops.models.trained_model import TrainedModel, content_of, load
from mcvae_ops.shards.crops import Crops
from mcvae_ops.shards.index import check_channels
from mcvae_ops.shards.training_cells import read_training_cells
from mcvae_ops.torch_files import save_torch
from mcvae_ops.training.precision import full_precision
from mcvae_ops.training.prepare import (
    check_range,
    choose_device,
    control_percentiles,
    fixed_settings,
    merged_settings,
    validation_set,
)
from mcvae_ops.training.reconstructions import sample_table
from mcvae_ops.training.train import metrics_table
from mcvae_ops.training.validate import validate
from mcvae_ops.weights_header import check_fit, read_header

logger = logging.getLogger(__name__)

NOT_TRAINED = ("learning_rate", "cells_per_s", "loader_wait_share", "tiles_per_batch",
               "wells_per_batch")  # fmt: skip
"""Columns of the table of metrics that only a training has."""


def with_channels(model: TrainedModel, channels: list[str]) -> TrainedModel:
    """Return a model whose crops have its channels in another order; its outputs are the same."""
    order = [model.channels.index(name) for name in channels]
    network = model.network
    with torch.no_grad():
        for encoder in network.encoders().values():
            first = next(m for m in encoder.body.modules() if isinstance(m, nn.Conv2d))
            first.weight.copy_(first.weight[:, order])
        last = [m for m in network.decoder.modules() if isinstance(m, nn.ConvTranspose2d)][-1]
        last.weight.copy_(last.weight[:, order])
        last.bias.copy_(last.bias[order])
    scales = ("gain", "shift_counts", "reference_counts")
    columns = {name: getattr(model.preprocessing, name) for name in scales}
    sorted_columns = {k: v[:, order] for k, v in columns.items() if v is not None}
    preprocessing = replace(model.preprocessing, **sorted_columns)
    return replace(model, preprocessing=preprocessing, channels=channels)


def with_names(model: TrainedModel, labels: list[str], batches: list[str]) -> TrainedModel:
    """Return a model with rows (prior means, head) for other labels and batches, by their names.

    A gene or batch that the training did not know has the mean of the others' rows, which is what
    the model expects of any. The decoder must not depend on the batch.
    """
    family = replace(model.network.settings, n_labels=len(labels), n_batches=len(batches))
    network = ContrastiveVAE(family, model.seed).to(model.device)
    state = dict(model.network.state_dict())
    for name in ("prior_s.weight", "prior_z.weight", "label_head.weight", "label_head.bias"):
        if name in state:
            state[name] = _rows(state[name], model.labels, labels, first=1)
    if "prior_t.weight" in state:
        state["prior_t.weight"] = _rows(state["prior_t.weight"], model.batches, batches, first=0)
    network.load_state_dict(state)
    return replace(model, network=network.eval(), labels=labels, batches=batches)


def _rows(rows: Tensor, known: list[str], names: list[str], first: int) -> Tensor:
    """Return a row for each name; that of an unknown one is the mean of the rows from `first`."""
    number, mean = {name: k for k, name in enumerate(known)}, rows[first:].mean(dim=0)
    return torch.stack([rows[number[name]] if name in number else mean for name in names])


def take_model(
    index: str,
    cells: str,
    statistics: str,
    stored: str,
    model: dict,
    training: dict,
    model_name: str,
    seed: int,
    channels: list[str],
    pixel_size_um: float | None,
    weights: str,
    metrics: str,
    samples: str,
) -> None:
    """Rule take_model: fit stored weights to this screen; nothing is trained.

    Channels are brought into the order of this screen, batches are normalised by their own control
    cells (`TrainedModel.levelled`), and labels get their rows by name, see `with_names`.

    Parameters
    ----------
    index, cells, statistics, model, training, channels, pixel_size_um
        As for `mcvae_ops.training.train.train_model`.
    stored
        The file that `models` names: ``weights.pt`` or ``weights.safetensors`` of another run.
    model_name, seed
        Name and seed of the model in this run.
    weights, metrics, samples
        Outputs: as those of a training. ``origin`` of the weights says which file they are from;
        the metrics are one validation on this screen's cells, without a training.

    Raises
    ------
    InputError
        If the model does not fit the crops; see `mcvae_ops.weights_header.check_fit`.
    """
    names = check_channels(channels, index)
    every = read_training_cells(cells)
    crops = Crops(Path(index).parent.parent, every)
    header = read_header(stored)
    check_fit(stored, header, names, {"size_px": crops.shape[-1], "pixel_size_um": pixel_size_um})
    settings = merged_settings(model, training)
    device = choose_device(settings["device"])
    origin = {key: header[key] for key in ("model", "seed", "sha256")}
    logger.info("weights of %(model)s, seed %(seed)d, SHA-256 %(sha256)s", origin)
    used = with_channels(load(stored, str(device)), names)
    batches = every.batches
    if used.preprocessing.gain is not None:
        used = used.levelled(batches, *control_percentiles(statistics, names, batches))
    used = with_names(used, every.labels, batches)
    own = {"name": model_name, "seed": seed, "settings": fixed_settings(settings)}
    used = replace(used, **own, origin=origin)
    validation = validation_set(every, crops, index, device)
    check_range(used.preprocessing(validation.crops, validation.batch))
    with full_precision():
        values = validate(used.network, validation, used.preprocessing, weights_from(settings))
        used.network.eval()
        table = sample_table(used.network, validation, index, used.preprocessing, names)
    row = {"step": 0, "epoch": 0.0, "phase": "validation"} | dict.fromkeys(NOT_TRAINED, math.nan)
    save_torch(content_of(used), weights)
    write_parquet(metrics_table([row | values]), metrics)
    write_parquet(table, samples)
