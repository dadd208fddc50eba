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
from mcvae_ops.shards.crops import Crops, in_order
from mcvae_ops.shards.index import index_channels
from mcvae_ops.shards.training_cells import read_cells
from mcvae_ops.training.precision import exact
from mcvae_ops.training.prepare import choose_device, fixed_settings, merged_settings

CELLS_AT_A_TIME = 1024
CELLS_PER_ROW_GROUP = 65_536


def latent_names(settings: FamilySettings) -> list[str]:
    """Return the column names of the latent dimensions: s_00.., z_00.., t_00.."""
    return [f"{space}_{k:02d}" for space, size in settings.latent().items() for k in range(size)]


def part_of(n_cells: int, part: int, parts: int) -> range:
    """Return the rows of the index that one of several equal parts embeds."""
    return range(part * n_cells // parts, (part + 1) * n_cells // parts)


@torch.no_grad()
def embed(
    model: ContrastiveVAE, crops: Crops, batch: np.ndarray, cells: range, preprocess: Preprocessing
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield positions and posterior means (cell, latent) of `cells`, rows of the index.

    `batch` holds the batch of every row.
    """
    device = next(model.parameters()).device
    model.eval()
    for positions, counts in in_order(crops, cells, CELLS_AT_A_TIME):
        columns = (counts, batch[positions])
        images = preprocess(*(torch.from_numpy(column).to(device) for column in columns))
        means = model.embed(images)
        yield positions, torch.cat([*means.values()], dim=1).cpu().numpy()


def load_model(
    weights: str, expected: dict, device: torch.device
) -> tuple[ContrastiveVAE, Preprocessing]:
    """Return the trained model and its preprocessing.

    Parameters
    ----------
    weights
        A file of `train_model`.
    expected
        model, seed, channels and settings (`fixed_settings`) that the weights must be of.
    device
        Where the model will be.

    Raises
    ------
    InputError
        If the weights are those of another model, seed or configuration, or of other channels.
    """
    content = torch.load(weights, map_location=device, weights_only=True)
    pairs = [(key, content[key], value) for key, value in expected.items() if key != "settings"]
    settings, trained = expected["settings"], content["settings"]
    for key in sorted(settings.keys() | trained.keys()):
        pairs.append((key, trained.get(key), settings.get(key)))
    for key, found, wanted in pairs:
        if found != wanted:
            raise InputError(
                where=weights,
                found=f"weights of {key} {found}",
                expected=f"{wanted}, as configured",
                fix="train this model on these crops",
            )
    model = ContrastiveVAE(FamilySettings(**content["family"]), expected["seed"])
    model.load_state_dict(content["state"])
    return model.to(device), Preprocessing(**content["preprocessing"])


def embed_cells(
    index: str,
    weights: str,
    model: dict,
    training: dict,
    model_name: str,
    seed: int,
    part: int,
    parts: int,
    embedding: str,
) -> None:
    """Write the posterior means of all cells of the index, or of one part of them, row by row.

    Parameters
    ----------
    index
        The shard index.
    weights
        A file of `train_model`.
    model, training, model_name, seed
        What the weights must be of, as for `train_model`; name and seed are kept in the schema
        metadata.
    part, parts
        Which (from 0) of how many equal parts.
    embedding
        Output: cell_id, s_00.., z_00.., t_00.. (float32), of the spaces that the model has.

    Raises
    ------
    InputError
        If the weights are of another model, seed, configuration or set of channels.
    """
    expected = {"model": model_name, "seed": seed, "channels": index_channels(index)}
    settings = merged_settings(model, training)
    expected |= {"settings": fixed_settings(settings)}
    network, preprocess = load_model(weights, expected, choose_device(settings["device"]))
    cells = read_cells(index)
    rows = part_of(len(cells), part, parts)
    names = latent_names(network.settings)
    schema = pa.schema(
        [("cell_id", pa.string()), *((name, pa.float32()) for name in names)],
        metadata={"model": model_name, "seed": str(seed)},
    )
    progress = Progress(len(rows), "cells", f"embed {model_name}")
    crops = Crops(Path(index).parent.parent, cells)
    embedded = embed(network, crops, cells.batch, rows, preprocess)
    with (
        exact(),
        whole_file(embedding) as partial,
        pq.ParquetWriter(partial, schema, compression="zstd") as writer,
    ):
        for table in _row_groups(cells.cell_id, rows, embedded, schema):
            writer.write_table(table)
            progress.step(table.num_rows)


def _row_groups(
    cell_id: pa.ChunkedArray,
    rows: range,
    embedded: Iterator[tuple[np.ndarray, np.ndarray]],
    schema: pa.Schema,
) -> Iterator[pa.Table]:
    held, first = [], rows.start
    for positions, latent in embedded:
        held.append(latent)
        done = positions[-1] + 1
        if done - first >= CELLS_PER_ROW_GROUP or done == rows.stop:
            names = cell_id.slice(first, done - first).cast(pa.string()).combine_chunks()
            columns = [names, *map(pa.array, np.concatenate(held).T)]
            yield pa.Table.from_arrays(columns, schema=schema)
            held, first = [], done


def join_embeddings(index: str, parts: list[str], embedding: str) -> None:
    """Join the parts of an embedding, in their order.

    Parameters
    ----------
    index
        The shard index.
    parts
        Outputs of `embed_cells`, in the order of their parts.
    embedding
        Output: a single part as it is, byte by byte; of several the rows are those of one part.

    Raises
    ------
    InputError
        If the parts are not of one model, or not the cells of the index.
    """
    cell_id = pq.read_table(index, columns=["cell_id"])["cell_id"]
    schema, done = pq.read_schema(parts[0]), 0
    with (
        whole_file(embedding) as partial,
        pq.ParquetWriter(partial, schema, compression="zstd") as writer,
    ):
        for path in parts:
            table = pq.read_table(path)
            names = cell_id.slice(done, table.num_rows)
            is_alike = table.schema.equals(schema, check_metadata=True)
            if not is_alike or not table["cell_id"].equals(names):
                raise InputError(
                    where=path,
                    found="cells or columns that do not follow on the parts before",
                    expected=f"cells of {index} from row {done}, by the model of {parts[0]}",
                    fix="delete the parts and embed again",
                )
            writer.write_table(table, row_group_size=CELLS_PER_ROW_GROUP)
            done += table.num_rows
        if done != len(cell_id):
            raise InputError(
                where=embedding,
                found=f"{done} cells",
                expected=f"{len(cell_id)}",
                fix="embed all parts",
            )
