"""Embed every cell: the posterior means of a trained model."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from mcvae_ops.errors import InputError
from mcvae_ops.files import whole_file
from mcvae_ops.models.family import ContrastiveVAE, FamilySettings
from mcvae_ops.models.preprocess import Preprocessing
from mcvae_ops.progress import Progress
from mcvae_ops.shards.cells import read_cells
from mcvae_ops.shards.crops import Crops, in_order
from mcvae_ops.shards.index import index_channels
from mcvae_ops.training.prepare import choose_device

CELLS_AT_A_TIME = 1024
CELLS_PER_ROW_GROUP = 65_536


def latent_names(settings: FamilySettings) -> list[str]:
    """Return the column names of the latent dimensions: s_00.., z_00.., t_00.."""
    return [f"{space}_{k:02d}" for space, size in settings.latent().items() for k in range(size)]


@torch.no_grad()
def embed(
    model: ContrastiveVAE, crops: Crops, preprocess: Preprocessing, device: torch.device
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield positions and posterior means (cell, latent) in the order of the index."""
    model.eval()
    for positions, counts in in_order(crops, CELLS_AT_A_TIME):
        images = preprocess(torch.from_numpy(counts).to(device))
        means = model.embed(images)
        yield positions, torch.cat([*means.values()], dim=1).cpu().numpy()


def load_model(
    weights: str, model_name: str, seed: int, channels: list[str], device: torch.device
) -> tuple[ContrastiveVAE, Preprocessing]:
    """Return the trained model and its preprocessing.

    Raises
    ------
    InputError
        If the weights are those of another model or seed, or of crops with other channels.
    """
    content = torch.load(weights, map_location=device, weights_only=True)
    found = tuple(content[key] for key in ("model", "seed", "channels"))
    if found != (model_name, seed, channels):
        raise InputError(
            where=weights,
            found="weights of {}, seed {}, channels {}".format(*found),
            expected=f"{model_name}, seed {seed}, channels {channels}",
            fix="train this model on these crops",
        )
    model = ContrastiveVAE(FamilySettings(**content["family"]), seed)
    model.load_state_dict(content["state"])
    return model.to(device), Preprocessing(**content["preprocessing"])


def embed_cells(index: str, weights: str, model_name: str, seed: int, embedding: str) -> None:
    """Write the posterior means of all cells of the index, row by row.

    Parameters
    ----------
    index
        The shard index.
    weights
        A file of `train_model`.
    model_name, seed
        What the weights must be of; kept in the schema metadata.
    embedding
        Output: cell_id, s_00.., z_00.., t_00.. (float32), of the spaces that the model has.

    Raises
    ------
    InputError
        If the weights are of another model, seed or set of channels.
    """
    device = choose_device("auto")
    model, preprocess = load_model(weights, model_name, int(seed), index_channels(index), device)
    cells = read_cells(index)
    crops = Crops(Path(index).parent.parent, cells)
    names = latent_names(model.settings)
    schema = pa.schema(
        [("cell_id", pa.string()), *((name, pa.float32()) for name in names)],
        metadata={"model": model_name, "seed": str(seed)},
    )
    progress = Progress(len(cells), "cells", f"embed {model_name}")
    with (
        whole_file(embedding) as partial,
        pq.ParquetWriter(partial, schema, compression="zstd") as writer,
    ):
        for table in _row_groups(cells.cell_id, embed(model, crops, preprocess, device), schema):
            writer.write_table(table)
            progress.step(table.num_rows)


def _row_groups(
    cell_id: pa.ChunkedArray, parts: Iterator[tuple[np.ndarray, np.ndarray]], schema: pa.Schema
) -> Iterator[pa.Table]:
    held, first = [], 0
    for positions, latent in parts:
        held.append(latent)
        done = positions[-1] + 1
        if done - first >= CELLS_PER_ROW_GROUP or done == len(cell_id):
            names = cell_id.slice(first, done - first).cast(pa.string()).combine_chunks()
            columns = [names, *map(pa.array, np.concatenate(held).T)]
            yield pa.Table.from_arrays(columns, schema=schema)
            held, first = [], done
