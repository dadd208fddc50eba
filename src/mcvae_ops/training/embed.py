"""Embed every cell: write the posterior means of a trained model."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch

from mcvae_ops.errors import InputError
from mcvae_ops.files import parquet_writer, read_blocks, read_rows, read_schema, read_table
from mcvae_ops.models.family import ContrastiveVAE, FamilySettings
from mcvae_ops.models.preprocess import Preprocessing
from mcvae_ops.models.trained_model import load
from mcvae_ops.progress import Progress
from mcvae_ops.shards.crops import Crops, read_in_order
from mcvae_ops.shards.index import index_channels
from mcvae_ops.shards.training_cells import read_training_cells
from mcvae_ops.training.precision import full_precision
from mcvae_ops.training.prepare import choose_device, fixed_settings, merged_settings

CELLS_AT_A_TIME = 1024
CELLS_PER_ROW_GROUP = 65_536


def latent_names(settings: FamilySettings) -> list[str]:
    """Return the column names of the latent dimensions: s_00.., z_00.., t_00.."""
    return [f"{space}_{k:02d}" for space, size in settings.latent().items() for k in range(size)]


def rows_of_part(n_cells: int, part: int, parts: int) -> range:
    """Return the rows of the index that belong to one of several equal parts."""
    return range(part * n_cells // parts, (part + 1) * n_cells // parts)


@torch.no_grad()
def embed(
    model: ContrastiveVAE,
    crops: Crops,
    batch: np.ndarray,
    cells: range,
    preprocess: Preprocessing,
    log_variance: bool,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield positions and posteriors (cell, latent) of `cells`, rows of the index.

    Parameters
    ----------
    batch
        Experimental batch of every row of the index.
    log_variance
        Whether the logarithms of the variances follow the means.
    """
    device = next(model.parameters()).device
    model.eval()
    for positions, counts in read_in_order(crops, cells, CELLS_AT_A_TIME):
        columns = (counts, batch[positions].astype(np.int64))
        images = preprocess(*(torch.from_numpy(column).to(device) for column in columns))
        posteriors = [encode(images) for encode in model.encoders().values()]
        columns = [posterior.mean for posterior in posteriors]
        if log_variance:
            columns += [posterior.log_variance for posterior in posteriors]
        yield positions, torch.cat(columns, dim=1).cpu().numpy()


def load_model(
    weights: str, expected: dict, device: torch.device
) -> tuple[ContrastiveVAE, Preprocessing]:
    """Return the trained model and its preprocessing.

    Parameters
    ----------
    weights
        A file of `train_model`.
    expected
        model, seed, channels and settings (`fixed_settings`) of the weights.
    device
        Device of the model.

    Raises
    ------
    InputError
        If the weights are damaged, or of another model, seed, configuration or set of channels.
    """
    model = load(weights, str(device))
    trained = {"model": model.name, "seed": model.seed, "channels": model.channels}
    pairs = [(key, trained[key], value) for key, value in expected.items() if key != "settings"]
    for key in sorted(expected["settings"].keys() | model.settings.keys()):
        pairs.append((key, model.settings.get(key), expected["settings"].get(key)))
    for key, of_weights, configured in pairs:
        if of_weights != configured:
            raise InputError(
                where=weights,
                found=f"weights of {key} {of_weights}",
                expected=f"{configured}, as configured",
                fix="train this model on these crops",
            )
    return model.network, model.preprocessing


def embed_cells(
    index: str,
    cells: str,
    weights: str,
    model: dict,
    training: dict,
    model_name: str,
    seed: int,
    part: int,
    parts: int,
    log_variance: bool,
    embedding: str,
) -> None:
    """Rule embed_cells: write the posterior means of all cells of the index, or of one part.

    Parameters
    ----------
    index, cells
        The shard index, and its numbers (rule training_cells).
    weights
        A file of `train_model`.
    model, training, model_name, seed
        As for `train_model`; the weights must belong to them. Name and seed are written into the
        schema metadata.
    part, parts
        Number of the part (from 0), and of all parts, which are equal in size.
    log_variance
        Whether the posterior's log variances are written, too.
    embedding
        Output: cell_id, s_00.., z_00.., t_00.. (float32), for the spaces that the model has; with
        log variances log_variance_s_00.. of each.

    Raises
    ------
    InputError
        If the weights belong to another model, seed, configuration or set of channels.
    """
    expected = {"model": model_name, "seed": seed, "channels": index_channels(index)}
    settings = merged_settings(model, training)
    expected |= {"settings": fixed_settings(settings)}
    network, preprocess = load_model(weights, expected, choose_device(settings["device"]))
    every = read_training_cells(cells)
    rows = rows_of_part(len(every), part, parts)
    crops = Crops(Path(index).parent.parent, every)
    embedded = embed(network, crops, every.batch, rows, preprocess, log_variance)
    names = latent_names(network.settings)
    if log_variance:
        names += [f"log_variance_{name}" for name in names]
    write_embedding(index, rows, embedded, names, (model_name, seed), embedding)


def write_embedding(
    index: str,
    rows: range,
    embedded: Iterator[tuple[np.ndarray, np.ndarray]],
    names: Sequence[str],
    identity: tuple[str, int],
    embedding: str,
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write the vectors of some cells of the index.

    Parameters
    ----------
    index, rows
        The shard index, and the rows that are embedded.
    embedded
        Positions and vectors (cell, dimension) of these rows, block by block; see `embed`.
    names
        Of the dimensions.
    identity
        Name and seed of the model, for the metadata.
    embedding
        Output: cell_id and `names` (float32).
    metadata
        More of what is known of the model.
    """
    model_name, seed = identity
    cell_id = read_rows(index, ["cell_id"], np.arange(rows.start, rows.stop))["cell_id"]
    schema = pa.schema(
        [("cell_id", pa.string()), *((name, pa.float32()) for name in names)],
        metadata={"model": model_name, "seed": str(seed)} | (metadata or {}),
    )
    progress = Progress(len(rows), "cells", f"embed {model_name}")
    with (
        full_precision(),
        parquet_writer(embedding, schema) as writer,
    ):
        for table in _row_groups(cell_id, rows, embedded, schema):
            writer.write_table(table)
            progress.step(table.num_rows)


def _row_groups(
    cell_id: pa.ChunkedArray,
    rows: range,
    embedded: Iterator[tuple[np.ndarray, np.ndarray]],
    schema: pa.Schema,
) -> Iterator[pa.Table]:
    # Groups of a fixed size, because small ones make a table that is slow to read.
    waiting, first = [], rows.start
    for positions, latent in embedded:
        waiting.append(latent)
        done = positions[-1] + 1
        if done - first >= CELLS_PER_ROW_GROUP or done == rows.stop:
            names = (
                cell_id.slice(first - rows.start, done - first).cast(pa.string()).combine_chunks()
            )
            columns = [names, *map(pa.array, np.concatenate(waiting).T)]
            yield pa.Table.from_arrays(columns, schema=schema)
            waiting, first = [], done


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
    cell_id = read_table(index, columns=["cell_id"])["cell_id"]
    schema, done = read_schema(parts[0]), 0
    with parquet_writer(embedding, schema) as writer:
        for path in parts:
            is_alike = read_schema(path).equals(schema, check_metadata=True)
            for table in read_blocks(path, n_rows=CELLS_PER_ROW_GROUP):
                names = cell_id.slice(done, table.num_rows)
                if not is_alike or not table["cell_id"].equals(names):
                    raise InputError(
                        where=path,
                        found="cells or columns that do not continue the previous parts",
                        expected=f"cells of {index} from row {done}, by the model of {parts[0]}",
                        fix="delete the parts and embed again",
                    )
                writer.write_table(table.combine_chunks())
                done += table.num_rows
        if done != len(cell_id):
            raise InputError(
                where=embedding,
                found=f"{done} cells",
                expected=f"{len(cell_id)}",
                fix="embed all parts",
            )
