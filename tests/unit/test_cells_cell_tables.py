"""Parts of the feature table become cells and features per plate."""

import json
import tarfile
import zipfile

import numpy as np
import pandas as pd
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from mcvae_ops.cells import partition_tables
from mcvae_ops.cells.cell_tables import split_cells
from mcvae_ops.cells.table_parts import list_feature_parts
from mcvae_ops.errors import InputError
from mcvae_ops.files import read_frame, row_groups

COLUMNS = {
    "plate": "plate",
    "well": "well",
    "tile": "tile",
    "y_px": "cell_i",
    "x_px": "cell_j",
    "guide": "sgRNA_0",
    "gene": "gene_symbol_0",
}
SCREEN = {
    "plates": {"P1": ["A1", "A2"]},
    "tiles": "0-5",
    "not_features": ["i_0", "j_0"],
    "control": "nontargeting",
    "ambiguous_labels": "refuse",
    "features": ["*"],
    "mitotic": ["mitotic*", "M"],
    "cut_px": None,
    "duplicates": None,
    "tile_size_px": 640,
    "batch": ["plate", "well"],
    "well_grid": {"column_heights": [3, 3], "first_tile": 0},
}
TABLE = {"table": "{folder}/dataset.json/{stage}-{*}", "columns": COLUMNS, "parse": {}}
ARCHIVE = {
    "root": None,
    "files": None,
    "streams": 2,
    "retries": 1,
    "timeout_s": 5,
    "keep_raw": False,
}
NAMES = [f"{stage}-reclassified_cp.parquet" for stage in ("interphase", "mitotic")]


def part_of(rng, n, well):
    genes = rng.choice(["nontargeting", "AAA", "BBB"], n)
    return pd.DataFrame(
        {
            "plate": "P1",
            "well": well,
            "tile": rng.integers(0, 6, n),
            "i_0": rng.uniform(0, 99, n),
            "j_0": rng.uniform(0, 99, n),
            "cell_i": rng.uniform(0, 640, n),
            "cell_j": rng.uniform(0, 640, n),
            "sgRNA_0": [f"{gene}-{k % 4}" for k, gene in enumerate(genes)],
            "gene_symbol_0": genes,
            "cell_dapi_mean": rng.normal(size=n),
            "gene": rng.normal(size=n),
        }
    )


@pytest.fixture
def parts():
    rng = np.random.default_rng(0)
    return {(d, f"{well}.parquet"): part_of(rng, 80, well) for d in NAMES for well in ("A1", "A2")}


@pytest.fixture
def run(tmp_path):
    def call(parts, screen=SCREEN):
        files = []
        for number, ((directory, name), table) in enumerate(parts.items()):
            (tmp_path / directory).mkdir(exist_ok=True)
            path = tmp_path / directory / name
            if not path.exists() or not pd.read_parquet(path).equals(table):
                table.to_parquet(path)
            size = path.stat().st_size
            data = {"id": number, "filename": name, "filesize": size, "md5": "0"}
            files.append({"label": name, "directoryLabel": directory, "dataFile": data})
        files.append({"label": "README.txt", "dataFile": {"id": 99, "filesize": 1}})
        dataset = {"status": "OK", "data": {"latestVersion": {"files": files}}}
        (tmp_path / "dataset.json").write_text(json.dumps(dataset))
        listed = str(tmp_path / "parts.parquet")
        cells = [TABLE | {"table": TABLE["table"].replace("{folder}", str(tmp_path))}]
        list_feature_parts(cells, [], screen, ARCHIVE, listed)
        targets = [str(tmp_path / kind / "P1.parquet") for kind in ("cells", "features")]
        split_cells(
            listed, cells, [], screen, ARCHIVE, str(tmp_path / "cache"), targets[:1], targets[1:],
            str(tmp_path / "features.tsv"), str(tmp_path / "rows.tsv"),
        )  # fmt: skip
        assert not (tmp_path / "cache").exists()
        return of_wells(*targets)

    return call


def of_wells(cells: str, features: str) -> list[list[pd.DataFrame]]:
    """The cells and the features of wells A1 and A2."""
    tables = pd.read_parquet(cells), pd.read_parquet(features)
    is_here = [tables[0]["well"] == well for well in ("A1", "A2")]
    return [[table[rows].reset_index(drop=True) for rows in is_here] for table in tables]


def test_cells_and_features_stay_aligned(parts, run):
    (cells, other), (features, _) = run(parts)
    assert len(cells) == len(other) == 160
    assert cells["cell_id"].tolist() == features["cell_id"].tolist()
    assert list(features.columns) == ["cell_id", "cell_dapi_mean", "gene"]
    assert set(features.dtypes[1:].astype(str)) == {"float32"}
    source = pd.concat([table.assign(directory=d) for (d, _), table in parts.items()])
    source = source[source["well"] == "A1"].sort_values(["tile", "cell_i", "cell_j"])
    np.testing.assert_allclose(features["cell_dapi_mean"], source["cell_dapi_mean"], rtol=1e-6)
    np.testing.assert_allclose(cells["y_px"], source["cell_i"], rtol=1e-6)
    assert cells["guide"].tolist() == source["sgRNA_0"].tolist()
    stage = source["directory"].str.partition("-")[0]
    assert cells["cell_cycle_stage"].tolist() == stage.tolist()
    assert (cells["is_ntc"] == (source["gene_symbol_0"] == "nontargeting").to_numpy()).all()
    assert set(cells["gene"]) == {"NTC", "AAA", "BBB"}
    assert cells["tile"].dtype == np.int32 and cells["y_px"].dtype == np.float32


def test_names_rank_the_cells_of_a_tile(parts, run):
    (cells, _), _ = run(parts)
    for tile, of_tile in cells.groupby("tile"):
        assert of_tile["y_px"].is_monotonic_increasing
        expected = [f"P1_A1_{tile:04d}_{n:05d}" for n in range(len(of_tile))]
        assert of_tile["cell_id"].tolist() == expected


def test_cells_keep_the_names_that_the_table_gives(parts, run, monkeypatch):
    """A name stands for its cell, whatever else the table holds."""
    monkeypatch.setitem(TABLE, "columns", COLUMNS | {"cell_id": "name"})
    for number, part in enumerate(parts.values()):
        part["name"] = [f"cell {number}.0-{k}" for k in range(len(part))]
    (cells, _), (features, _) = run(parts)
    source = pd.concat(parts.values())
    source = source[source["well"] == "A1"].sort_values(["tile", "cell_i", "cell_j"])
    assert cells["cell_id"].tolist() == features["cell_id"].tolist() == source["name"].tolist()


@pytest.mark.parametrize("name", [None, "one name"])
def test_a_name_belongs_to_one_cell(parts, run, monkeypatch, name):
    monkeypatch.setitem(TABLE, "columns", COLUMNS | {"cell_id": "name"})
    for number, part in enumerate(parts.values()):
        part["name"] = [f"cell {number}-{k}" for k in range(len(part))]
        part.loc[3:4, "name"] = name
    with pytest.raises(InputError, match=r"P1 well A1: .* names \(cells.columns.cell_id\)"):
        run(parts)


def test_duplicates_and_cells_without_a_place_are_dropped(parts, run):
    first = parts[(NAMES[0], "A1.parquet")]
    first.loc[0, "cell_i"] = np.nan
    first.loc[1, "gene_symbol_0"] = None
    first.loc[2, "tile"] = 77
    mitotic = parts[(NAMES[1], "A1.parquet")]
    parts[(NAMES[1], "A1.parquet")] = pd.concat([mitotic, first.iloc[[10]]], ignore_index=True)
    (cells, _), _ = run(parts)
    assert len(cells) == 157
    twice = cells[np.isclose(cells["y_px"], first.loc[10, "cell_i"])]
    assert twice["cell_cycle_stage"].tolist() == ["interphase"]


def test_a_missing_column_names_part_and_column(parts, run):
    key = (NAMES[1], "A2.parquet")
    parts[key] = parts[key].drop(columns="cell_j")
    with pytest.raises(InputError, match=r"mitotic-.*A2\.parquet.*'cell_j'"):
        run(parts)


@pytest.mark.parametrize("elsewhere", ["absent", "empty"])
def test_a_part_with_other_features_is_refused(parts, run, elsewhere):
    key = (NAMES[1], "A2.parquet")
    if elsewhere == "empty":
        parts.update({name: part.assign(extra=None) for name, part in parts.items()})
    parts[key] = parts[key].assign(extra=1.0)
    with pytest.raises(InputError, match="'extra'"):
        run(parts)


def test_a_control_that_labels_nothing_lists_the_labels(parts, run):
    with pytest.raises(InputError, match=r"'NTC', which labels no cell.*'nontargeting'"):
        run(parts, SCREEN | {"control": "NTC"})


def test_a_well_without_cells_has_empty_tables_and_is_said(parts, run, caplog):
    del parts[(NAMES[0], "A2.parquet")], parts[(NAMES[1], "A2.parquet")]
    (first, empty), (measured, unmeasured) = run(parts)
    assert len(first) > 0 and len(empty) == len(unmeasured) == 0
    assert list(empty.columns) == list(first.columns)
    assert list(unmeasured.columns) == list(measured.columns)
    assert "P1/A2: images, but no cell" in caplog.text


def test_a_part_without_a_row_is_no_fault(parts, run):
    key = (NAMES[1], "A2.parquet")
    parts[key] = parts[key].iloc[:0]
    (cells, other), _ = run(parts)
    assert (len(cells), len(other)) == (160, 80)


def test_a_damaged_part_is_named(parts, run, tmp_path, monkeypatch):
    real = pd.DataFrame.to_parquet

    def damaged(table, path):
        real(table, path)
        path.write_bytes(path.read_bytes()[:-100])

    monkeypatch.setattr(pd.DataFrame, "to_parquet", damaged)
    with pytest.raises(InputError, match=r"A1\.parquet: found damage"):
        run(parts)


@pytest.mark.parametrize("suffix", [".zip", ".tar", ".tar.gz"])
def test_packed_parts_give_the_same_tables(parts, run, tmp_path, suffix):
    loose = run(parts)
    packed = tmp_path / "packed"
    packed.mkdir()
    files = []
    for number, directory in enumerate(NAMES):
        name = f"{directory}{suffix}"
        members = {n: tmp_path / d / n for d, n in parts if d == directory}
        if suffix == ".zip":
            with zipfile.ZipFile(packed / name, "w") as archive:
                for member, path in members.items():
                    archive.write(path, f"{directory}/{member}")
        else:
            with tarfile.open(packed / name, "w:gz" if suffix == ".tar.gz" else "w") as archive:
                for member, path in members.items():
                    archive.add(path, f"{directory}/{member}")
        size = (packed / name).stat().st_size
        files.append({"label": name, "dataFile": {"id": number, "filesize": size}})
    dataset = {"status": "OK", "data": {"latestVersion": {"files": files}}}
    (packed / "dataset.json").write_text(json.dumps(dataset))
    listed = str(packed / "parts.parquet")
    cells = [TABLE | {"table": TABLE["table"].replace("{folder}", str(packed))}]
    list_feature_parts(cells, [], SCREEN, ARCHIVE, listed)
    targets = [str(packed / f"{kind}.parquet") for kind in ("cells", "features")]
    split_cells(
        listed, cells, [], SCREEN, ARCHIVE, str(packed / "cache"), targets[:1], targets[1:],
        str(packed / "f.tsv"), str(packed / "rows.tsv"),
    )  # fmt: skip
    for found, expected in zip(of_wells(*targets), loose, strict=True):
        for one, other in zip(found, expected, strict=True):
            pd.testing.assert_frame_equal(one, other)


def test_a_table_of_many_cuts_and_batches_is_ordered_all_the_same(run, tmp_path, monkeypatch):
    rng = np.random.default_rng(1)
    screen = SCREEN | {"plates": {"P1": ["A1", "A2"]}, "tiles": "0-300"}
    table = {}
    for directory in NAMES:
        for well in ("A1", "A2"):
            table[directory, f"{well}.parquet"] = part_of(rng, 4000, well).assign(
                tile=lambda t: rng.integers(0, 301, len(t))
            )
    whole = run(table, screen)
    monkeypatch.setattr("mcvae_ops.archive.table_batches._BATCH_BYTES", 20_000)
    monkeypatch.setattr("mcvae_ops.cells.partition._HELD_BYTES", 50_000)
    monkeypatch.setattr("mcvae_ops.cells.joined_wells.VALUES_PER_GROUP", 9_000)
    again = run(table, screen)
    for first, second in zip(whole, again, strict=True):
        for one, other in zip(first, second, strict=True):
            pd.testing.assert_frame_equal(one, other)
    cells = whole[0][0]
    assert cells["cell_id"].is_monotonic_increasing and len(cells) == 8000
    # Three numbers of each cell: no row group holds more than 3,000 cells, or two wells.
    groups = [list(row_groups(tmp_path / f"{kind}/P1.parquet")) for kind in ("cells", "features")]
    assert [len(rows) for rows in groups[0]] == [len(rows) for rows in groups[1]]
    assert all(len(rows) <= 3000 and len(pc.unique(rows["well"])) == 1 for rows in groups[0])
    assert len(groups[0]) > 5


def test_a_reader_of_one_well_reads_its_row_groups_alone(parts, run, tmp_path, monkeypatch):
    monkeypatch.setattr("mcvae_ops.cells.joined_wells.VALUES_PER_GROUP", 120)
    # As in a file that is too large for a seal over all of it, where pages alone are verified.
    monkeypatch.setattr("mcvae_ops.files._SEALED_WHOLE_BYTES", 0)
    (_, wanted), _ = run(parts)
    path = tmp_path / "cells/P1.parquet"
    content = bytearray(path.read_bytes())
    first = pq.read_metadata(path).row_group(0).column(0)
    content[first.data_page_offset + first.total_compressed_size // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match="damage"):
        read_frame(path)
    of_well = read_frame(path, filters=[("well", "==", "A2"), ("tile", "in", [1, 2])])
    expected = wanted[wanted["tile"].isin([1, 2])].reset_index(drop=True)
    pd.testing.assert_frame_equal(of_well, expected)


def test_parts_cut_before_an_interruption_are_not_read_again(parts, run, tmp_path, monkeypatch):
    undisturbed = run(parts)
    real, seen = partition_tables.members_of, []

    def interrupted(path, name, folder=None):
        seen.append(name)
        if len(seen) == 3:
            raise KeyboardInterrupt
        yield from real(path, name, folder)

    monkeypatch.setattr(partition_tables, "members_of", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(parts)
    again = run(parts)
    assert len(seen) == 3 + 2
    for first, second in zip(undisturbed, again, strict=True):
        for one, other in zip(first, second, strict=True):
            pd.testing.assert_frame_equal(one, other)


def test_a_cell_that_two_tiles_show_is_kept_where_it_is_nearer_to_the_middle(parts, run):
    # Tile 0 lies above tile 1; tile 5 lies right of tile 0 (a snake); they overlap by 40 px.
    shown = [(0, 620.0, 300.0), (1, 20.0, 301.0), (0, 100.0, 610.0), (5, 101.0, 10.0)]
    first = parts[(NAMES[0], "A1.parquet")].iloc[:5].copy()
    first["gene_symbol_0"], first["sgRNA_0"] = "nontargeting", "g"
    for row, (tile, y, x) in zip(first.index, shown, strict=False):
        first.loc[row, ["tile", "cell_i", "cell_j"]] = tile, y, x
    # As near, but of another guide.
    first.loc[first.index[4], ["tile", "cell_i", "cell_j", "sgRNA_0"]] = 1, 20.0, 299.0, "h"
    first["tile"] = first["tile"].astype(int)
    others = {key: table for key, table in parts.items() if key[1] == "A2.parquet"}
    tables = others | {(NAMES[0], "A1.parquet"): first}
    cells = run(tables)[0][0]
    assert len(cells) == 5
    settings = {"overlap_px": 40, "max_distance_px": 3}
    (once, _), (kept, _) = run(tables, SCREEN | {"duplicates": settings})
    places = once[["tile", "y_px", "x_px"]].values.tolist()
    assert places == [[0, 100, 610], [1, 20, 299], [1, 20, 301]]
    assert once["cell_id"].tolist() == kept["cell_id"].tolist()
    assert set(once["cell_id"]) < set(cells["cell_id"])
