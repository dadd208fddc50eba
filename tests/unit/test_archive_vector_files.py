"""Vectors in .npy files beside a table: the same numbers as in the table, or one sentence."""

import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from mcvae_ops.archive.patterns import Pattern
from mcvae_ops.archive.vector_files import batches_beside, open_vectors
from mcvae_ops.errors import InputError
from tests.helpers.cell_tables import cells_of, enter, write_table

SPACES = {"features": ["-"], "spaces": {"dino": {"combined": "dino"}}}
SCREEN = SPACES | {"plates": {"P1": ["A1"], "P2": ["A1"]}}
COLUMNS = [f"dino_{k}" for k in range(12)]
PLATES = {"P1": 40, "P2": 23}


def vectors_of(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, 12)).astype(np.float32)


def write_plates(folder: Path, suffix: str = ".parquet", **kind) -> dict[str, np.ndarray]:
    """Write a table and an array for each plate, the rows in no order of tiles."""
    arrays = {plate: vectors_of(n, n) for plate, n in PLATES.items()}
    for plate, vectors in arrays.items():
        write_table(cells_of(len(vectors), plate=plate), folder / f"{plate}{suffix}")
        np.save(folder / f"dino_{plate}.npy", np.asarray(vectors, **kind))
    return arrays


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".h5ad"])
@pytest.mark.parametrize("kind", [{}, {"order": "F"}, {"dtype": ">f8"}, {"dtype": "f2"}])
def test_an_array_gives_the_numbers_of_a_table_with_its_columns(
    suffix, kind, tmp_path, monkeypatch
):
    monkeypatch.setattr("mcvae_ops.archive.table_batches._BATCH_BYTES", 1200)  # some rows at a time
    arrays = write_plates(tmp_path / "beside", suffix, **kind)
    beside = {"table": f"{{plate}}{suffix}", "vectors": {"dino": "dino_{plate}.npy"}}
    for plate, vectors in arrays.items():
        columns = pd.DataFrame(np.asarray(vectors, kind.get("dtype")).astype("f4"), columns=COLUMNS)
        table = cells_of(len(vectors), plate=plate).join(columns)
        write_table(table, tmp_path / f"within/{plate}.parquet")
    found = enter(tmp_path / "beside", beside, screen=SCREEN)
    expected = enter(tmp_path / "within", {"table": "{plate}.parquet"}, screen=SCREEN)
    for ours, theirs in zip(found[:2], expected[:2], strict=True):
        pd.testing.assert_frame_equal(ours, theirs, check_exact=True)
    assert list(found[1])[1:] == COLUMNS


def test_columns_of_an_array_are_features_where_a_space_names_them_alone(tmp_path):
    write_plates(tmp_path / "in")
    beside = {"table": "P1.parquet", "vectors": {"dino": "dino_P1.npy"}}
    _, features, listed = enter(tmp_path / "in", beside)
    assert list(features)[1:] == ["area", "mean"]
    reasons = listed.set_index("column")["reason"]
    assert reasons["dino_11"] == "in an array beside the table"


def test_a_field_is_spelled_as_in_the_address_of_the_table(tmp_path):
    folder = tmp_path / "in"
    write_table(cells_of().drop(columns=["plate", "well"]), folder / "plate=P1/a1.csv")
    np.save(folder / "P1_a1.npy", vectors_of(40))
    beside = {"table": "plate={plate}/{well}.csv", "vectors": {"dino": "{plate}_{well}.npy"}}
    _, features, _ = enter(folder, beside, screen=SPACES)
    assert sorted(features["dino_0"]) == sorted(vectors_of(40)[:, 0])


def test_two_arrays_and_a_column_of_the_table_make_two_spaces(tmp_path):
    folder, screen = tmp_path / "in", {"mine": {"salient": "s", "background": ["z", "mean"]}}
    write_table(cells_of(), folder / "cells.parquet")
    for name, seed in (("s", 1), ("z", 2)):
        np.save(folder / f"{name}.npy", vectors_of(40, seed)[:, :2])
    beside = {"table": "cells.parquet", "vectors": {"s": "s.npy", "z": "z.npy"}}
    _, features, _ = enter(folder, beside, screen={"features": ["-"], "spaces": screen})
    assert set(features) == {"cell_id", "s_0", "s_1", "z_0", "z_1", "mean"}
    order = cells_of().sort_values(["tile", "y_px", "x_px"]).index
    np.testing.assert_array_equal(features[["z_0", "z_1"]], vectors_of(40, 2)[order, :2])
    np.testing.assert_allclose(features["mean"], cells_of()["mean"][order], rtol=1e-6)


def test_vectors_that_are_not_finite_are_counted(tmp_path, caplog):
    folder, vectors = tmp_path / "in", vectors_of(40)
    vectors[[3, 17], [0, 5]] = np.nan, np.inf
    write_table(cells_of(), folder / "cells.parquet")
    np.save(folder / "dino.npy", vectors)
    beside = {"table": "cells.parquet", "vectors": {"dino": "dino.npy"}}
    _, features, _ = enter(folder, beside, screen=SPACES)
    assert (~np.isfinite(features[COLUMNS]).all(axis=1)).sum() == 2
    said = "dino of table cells.parquet: 2 of 40 vectors are not finite (rows 3, 17, from 0)"
    assert said in caplog.text


@pytest.mark.parametrize(
    ("n", "said"), [(39, "39 rows in .+ has more rows"), (41, "41 .+ 40 rows")]
)
def test_an_array_has_as_many_rows_as_the_table(n, said, tmp_path):
    folder = tmp_path / "in"
    write_table(cells_of(), folder / "cells.csv")
    np.save(folder / "dino.npy", vectors_of(n))
    beside = {"table": "cells.csv", "vectors": {"dino": "dino.npy"}}
    with pytest.raises(InputError, match=f"the vectors dino of table cells.csv: found {said}"):
        enter(folder, beside, screen=SPACES)


def saved(path: Path, kind: str) -> None:
    if kind == "npz":
        with open(path, "wb") as file:
            np.savez(file, a=vectors_of(4), b=vectors_of(4))
    elif kind == "objects":
        np.save(path, np.array([[1.0, "a"]], object), allow_pickle=True)
    elif kind == "cut":
        np.save(path, vectors_of(4))
        path.write_bytes(path.read_bytes()[:-9])
    elif kind == "text":
        path.write_text("1,2\n3,4\n")
    else:
        np.save(path, {"int64": np.ones((4, 3), int), "cube": np.ones((4, 3, 2))}[kind])


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("npz", "an archive of several arrays"),
        ("objects", "no array that can be mapped .+bjects"),
        ("cut", "no array that can be mapped .+mmap length is greater"),
        ("text", "no array that can be mapped"),
        ("int64", r"int64 of shape \(4, 3\)"),
        ("cube", r"float64 of shape \(4, 3, 2\)"),
    ],
)
def test_what_is_no_array_of_vectors_is_refused(kind, said, tmp_path):
    saved(tmp_path / "x.npy", kind)
    with pytest.raises(InputError, match=said):
        open_vectors(Pattern(str(tmp_path / "x.npy")), {})


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("gone.npy", "cells.vectors.dino names it"),
        ("{well}.npy", r"found {well} in .+ expected fields that the address of the table has"),
        ("{*}.npy", "whose name has only fields of the table's address"),
        ("https://server/dino.npy", "expected a file on this machine"),
    ],
)
def test_an_address_that_leads_nowhere_is_one_sentence(address, said, tmp_path):
    write_plates(tmp_path / "in")
    beside = {"table": "{plate}.parquet", "vectors": {"dino": address}}
    with pytest.raises(InputError, match=said):
        enter(tmp_path / "in", beside, screen=SCREEN)


def test_an_array_is_never_whole_in_memory(tmp_path, monkeypatch):
    """The table is one batch of 200,000 rows; 64 MB of vectors come in pieces of 1 MB."""
    monkeypatch.setattr("mcvae_ops.archive.table_batches._BATCH_BYTES", 2 << 20)
    array = np.lib.format.open_memmap(tmp_path / "x.npy", "w+", np.float32, (200_000, 80))
    array[-1] = 7
    array.flush()
    mapped = open_vectors(Pattern(str(tmp_path / "x.npy")), {})
    columns = [f"x_{k}" for k in range(80)]
    batch = pa.table({"gene": pa.nulls(200_000)})
    tracemalloc.start()
    n_rows = 0
    for rows in batches_beside(iter([batch]), {"x": mapped}, columns, "cells.parquet"):
        n_rows += len(rows)
        last = rows["x_79"][-1].as_py()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (n_rows, last) == (200_000, 7) and peak < 8 << 20
