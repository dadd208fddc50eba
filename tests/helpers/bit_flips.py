"""One bit of a file is flipped, and the product reads it: is it noticed?

``python -m tests.helpers.bit_flips 300`` prints the numbers of every kind of file.
"""

import logging
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import torch

from mcvae_ops.errors import InputError
from mcvae_ops.files import (
    map_arrow,
    opened_parquet,
    read_npy,
    read_table,
    write_arrow,
    write_npy,
    write_parquet,
)
from mcvae_ops.models.family import ContrastiveVAE, FamilySettings
from mcvae_ops.models.preprocess import Preprocessing
from mcvae_ops.models.safetensors_files import export_weights
from mcvae_ops.models.trained_model import TrainedModel, content_of, load
from mcvae_ops.shards.format import open_shard, write_shard
from mcvae_ops.tiles.resume import FinishedTiles
from mcvae_ops.torch_files import load_torch, save_torch
from mcvae_ops.training.checkpoint import Checkpoint
from mcvae_ops.workflow.ledger import verify, write_ledger

N_CELLS = 500
TINY = FamilySettings("conv64", 1, 16, 2, 2, 2, 0, True, True, False, False, "analytic", 2, 1)
NOTICED, HARMLESS, WRONG = "noticed", "same content", "other content"


@dataclass
class Kind:
    """A kind of file: the path that is damaged, and what reads it.

    Attributes
    ----------
    is_none_a_refusal
        Whether silence is a refusal.
    way_out
        What an error proposes.
    """

    path: Path
    read: Callable[[], object]
    is_none_a_refusal: bool = False
    way_out: str = "delete it"


def cells(**columns) -> pa.Table:
    names = {"cell_id": [f"P_A1_0001_{k:05d}" for k in range(N_CELLS)], "well": ["A1"] * N_CELLS}
    metadata = {"model": "mcvae", "seed": "0", "channels": '["a", "b"]'}
    return pa.table(names | columns).replace_schema_metadata(metadata)


def latent() -> pa.Table:
    rng = np.random.default_rng(0)
    return cells(**{f"s_{k:02d}": rng.normal(size=N_CELLS).astype("f4") for k in range(8)})


def embedding(folder: Path) -> Kind:
    write_parquet(latent(), folder / "a.parquet", latent().schema.metadata)
    return Kind(folder / "a.parquet", lambda: _content(read_table(folder / "a.parquet")))


def embedding_in_parts(folder: Path) -> Kind:
    path = embedding(folder).path

    def read() -> object:
        with opened_parquet(path) as file:
            return [batch.to_pydict() for batch in file.iter_batches(batch_size=100)]

    return Kind(path, read)


def index(folder: Path) -> Kind:
    rng = np.random.default_rng(0)
    table = cells(gene=rng.choice(["TP53", "MDM2"], N_CELLS), is_ntc=rng.random(N_CELLS) < 0.5)
    write_parquet(table, folder / "index.parquet")
    return Kind(folder / "index.parquet", lambda: _content(read_table(folder / "index.parquet")))


def _content(table: pa.Table) -> object:
    return table.to_pydict(), table.schema.metadata


def _shard(folder: Path) -> Path:
    crops = np.random.default_rng(0).integers(0, 9999, (20, 2, 8, 8)).astype(np.uint16)
    table = pa.table({"cell_id": [f"c{k}" for k in range(20)]})
    write_shard(crops, np.arange(20), table, ["a", "b"], folder / "s.npy")
    return folder / "s.npy"


def crops_of_shard(folder: Path) -> Kind:
    path = _shard(folder)
    return Kind(path, lambda: open_shard(path, verify=True).crops.tolist())


def cells_of_shard(folder: Path) -> Kind:
    path = _shard(folder)
    return Kind(path.with_suffix(".parquet"), lambda: _content(open_shard(path).cells))


def weights(folder: Path) -> Kind:
    save_torch({"state": torch.arange(999.0), "model": "mcvae"}, folder / "w.pt")

    def read() -> object:
        content = load_torch(folder / "w.pt", "cpu")
        return content["state"].tolist(), content["model"]

    return Kind(folder / "w.pt", read)


def exported_weights(folder: Path) -> Kind:
    preprocessing = Preprocessing(16, 5.0, 1.0, 2.0, gain=torch.ones(1, 2))
    crop = {"size_px": 16, "pixel_size_um": None}
    names = ["DAPI", "GFP"], ["NTC", "TP53"], ["P1/A1"]
    model = TrainedModel(ContrastiveVAE(TINY, 0), preprocessing, "mcvae", 0, *names, crop, {}, None)
    save_torch(content_of(model), folder / "w.pt")
    export_weights(folder / "w.pt", folder / "w.safetensors")

    def read() -> object:
        content = content_of(load(folder / "w.safetensors"))
        state, scales = content.pop("state"), content.pop("preprocessing")
        values = [value.tolist() for value in (*state.values(), scales.pop("gain"))]
        return content, scales, values

    return Kind(folder / "w.safetensors", read, way_out="train the model again")


def numbers_of_cells(folder: Path) -> Kind:
    rng = np.random.default_rng(0)
    columns = {name: rng.integers(0, 99, N_CELLS, np.int32) for name in ("shard", "row")}
    write_arrow(pa.table(columns, metadata={"shards": '["a.npy"]'}), folder / "cells.arrow")
    return Kind(folder / "cells.arrow", lambda: _content(map_arrow(folder / "cells.arrow")))


def checkpoint(folder: Path) -> Kind:
    saved = Checkpoint(str(folder), "identity", 1.0)
    saved.save({"step": 5, "state": torch.arange(99.0)})

    def read() -> object:
        state = saved.load(torch.device("cpu"))
        return state and (state["step"], state["state"].tolist())

    return Kind(saved.path, read, is_none_a_refusal=True)


def _finished_tile(folder: Path) -> tuple[FinishedTiles, pd.DataFrame, pd.DataFrame]:
    files = pd.DataFrame({"path": ["a.tif"], "size_bytes": [9]})
    table = pd.DataFrame({"cell_id": [f"c{k}" for k in range(9)]})
    finished = FinishedTiles(folder / "finished", {"a": 1}, {3: 9}, (1, 8, 8))
    crops = np.random.default_rng(0).integers(0, 9999, (9, 1, 8, 8)).astype(np.uint16)
    finished.save(3, files, table, crops, {"n": 9})
    return finished, files, table


def note_of_tile(folder: Path) -> Kind:
    finished, files, table = _finished_tile(folder)
    path = finished.folder / "3.json"
    return Kind(path, lambda: finished.load(3, files, table), is_none_a_refusal=True)


def crops_of_tile(folder: Path) -> Kind:
    finished, files, table = _finished_tile(folder)
    return Kind(finished.data, lambda: finished.load(3, files, table), is_none_a_refusal=True)


def illumination(folder: Path) -> Kind:
    write_npy(np.arange(500.0), folder / "a.npy")
    return Kind(folder / "a.npy", lambda: read_npy(folder / "a.npy").tolist())


def _verified(folder: Path) -> tuple[Path, Callable[[], object]]:
    """A table, as any rule writes one, and its ledger, under the target ``verify``."""
    (folder / "hits.tsv").write_text("gene\tvalue\nTP53\t1.5\n" * 50)
    ledger = folder / "checksums/tiny/hits.sha256"
    write_ledger([str(folder / "hits.tsv")], ledger)
    return ledger, lambda: verify(str(ledger.parent), 1) or "whole"


def any_file(folder: Path) -> Kind:
    """Whatever a rule writes: a figure, a page, a TSV."""
    _, read = _verified(folder)
    return Kind(folder / "hits.tsv", read)


def ledger_of_run(folder: Path) -> Kind:
    return Kind(*_verified(folder))


KINDS = (
    embedding, embedding_in_parts, index, numbers_of_cells, crops_of_shard, cells_of_shard,
    weights, exported_weights, checkpoint, note_of_tile, crops_of_tile, illumination, any_file,
    ledger_of_run,
)  # fmt: skip


def flips(make: Callable[[Path], Kind], n: int, folder: Path) -> Counter:
    """Flip one random bit, `n` times; count what the readers make of it.

    Raises
    ------
    AssertionError
        If an error does not name the file and the way out.
    """
    kind, chance, found = make(folder), random.Random(0), Counter()
    whole, content = kind.read(), kind.path.read_bytes()
    for _ in range(n):
        damaged = bytearray(content)
        damaged[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        kind.path.write_bytes(damaged)
        try:
            read = kind.read()
        except InputError as error:
            assert str(kind.path.with_suffix("")) in str(error) and kind.way_out in str(error)
            found[NOTICED] += 1
        else:
            refused = kind.is_none_a_refusal and read is None
            found[NOTICED if refused else HARMLESS if read == whole else WRONG] += 1
    kind.path.write_bytes(content)
    assert kind.read() == whole
    return found


if __name__ == "__main__":
    logging.disable()
    for make in KINDS:
        with tempfile.TemporaryDirectory() as folder:
            counts = flips(make, int(sys.argv[1]), Path(folder))
        numbers = ", ".join(f"{counts[what]} {what}" for what in (NOTICED, HARMLESS, WRONG))
        print(f"{make.__name__:20} {numbers}")
