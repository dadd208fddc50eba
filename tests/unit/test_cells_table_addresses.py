"""Tables of any format and place give the same cells; several tables are joined by their names."""

import gzip
import json
import sqlite3
import zipfile
from contextlib import closing

import anndata
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy import sparse

from mcvae_ops.archive import dataverse
from mcvae_ops.archive.table_address import table_address
from mcvae_ops.cells.columns import expression
from mcvae_ops.cells.table_parts import list_feature_parts
from mcvae_ops.errors import InputError
from mcvae_ops.simulate.study import dataset_of
from mcvae_ops.workflow.shorthand import in_full
from tests.helpers.cell_tables import ARCHIVE, SCREEN, cells_of, enter, write_table
from tests.helpers.object_server import serving
from tests.helpers.raw_server import answer, raw_server

TWO_WELLS = {"plates": {"P1": ["A1", "A2"]}}


def two_wells() -> pd.DataFrame:
    """Cells of two wells, with missing values."""
    frame = pd.concat([cells_of(30, 1), cells_of(30, 2, well="A2")], ignore_index=True)
    frame.loc[[3, 40], "area"] = np.nan
    return frame


def assert_same(found, expected) -> None:
    for one, other in zip(found[:2], expected[:2], strict=True):
        pd.testing.assert_frame_equal(one, other)


@pytest.fixture
def expected(tmp_path):
    write_table(two_wells(), tmp_path / "plain/cells.parquet")
    return enter(tmp_path / "plain", {"table": "cells.parquet"}, screen=TWO_WELLS)


# --- Formats ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["cells.csv", "cells.csv.gz", "cells.tsv", "cells.txt.gz", "cells.sqlite", "cells.h5ad"],
)
def test_every_format_gives_the_same_tables(name, expected, tmp_path):
    write_table(two_wells(), tmp_path / "other" / name)
    address = f"{name}#Cells" if name.endswith("sqlite") else name
    assert_same(enter(tmp_path / "other", {"table": address}, screen=TWO_WELLS), expected)


def list_column(kind: str, vectors: list) -> pa.Array:
    of = {"list": pa.list_, "large list": pa.large_list, "fixed": lambda t: pa.list_(t, 12)}[kind]
    return pa.array(vectors, of(pa.float32()))


def write_vectors(kind: str, frame: pd.DataFrame, vectors: np.ndarray, path) -> None:
    """Write cells with a vector of each; the seventh cell of a list has none."""
    if kind.startswith("obsm"):
        write_table(frame, path)
        cells = anndata.read_h5ad(path)
        cells.obsm["dino"] = sparse.csr_matrix(vectors) if kind == "obsm, sparse" else vectors
        cells.obsm["table"] = pd.DataFrame({"a": 1.0}, index=cells.obs_names)
        cells.write_h5ad(path)
        return
    lists = [None if k == 7 else vector for k, vector in enumerate(vectors.tolist())]
    table = pa.Table.from_pandas(frame, preserve_index=False)
    table = table.append_column("dino", list_column(kind, lists))
    table = table.append_column("words", pa.array([["a"]] * len(frame)))
    pq.write_table(table, path, row_group_size=16)


@pytest.mark.parametrize("columns", ["dino", "dino_*", [f"dino_{k}" for k in range(12)]])
@pytest.mark.parametrize("kind", ["list", "large list", "fixed", "obsm", "obsm, sparse"])
def test_vectors_are_columns_where_a_space_names_them(kind, columns, tmp_path, monkeypatch):
    monkeypatch.setattr("mcvae_ops.archive.table_batches._BATCH_BYTES", 1200)  # some rows at a time
    vectors = np.random.default_rng(0).normal(size=(40, 12)).astype(np.float32)
    frame = cells_of().sort_values(["tile", "y_px"], ignore_index=True)
    name = "cells.h5ad" if kind.startswith("obsm") else "cells.parquet"
    write_vectors(kind, frame, vectors, tmp_path / name)
    spaces = {"dino": {"combined": columns}}
    _, features, _ = enter(tmp_path, {"table": name}, screen={"spaces": spaces, "features": ["-"]})
    if not kind.startswith("obsm"):
        vectors[7] = np.nan
    assert list(features)[1:] == [f"dino_{k}" for k in range(12)]
    np.testing.assert_array_equal(features.iloc[:, 1:], vectors)
    _, features, listed = enter(tmp_path, {"table": name})
    assert list(features)[1:] == ["area", "mean"]
    reason = "in an array of cells (obsm)" if kind.startswith("obsm") else "in a column of lists"
    assert listed.set_index("column").loc["dino_11", "reason"] == reason


def test_lists_of_several_lengths_are_refused(tmp_path):
    table = pa.Table.from_pandas(cells_of(), preserve_index=False)
    lists = pa.array([[0.5] * (3 if k == 9 else 4) for k in range(40)])
    pq.write_table(table.append_column("dino", lists), tmp_path / "cells.parquet")
    said = r"damage \(3 numbers in a list of column dino, not 4\)"
    screen = {"spaces": {"dino": {"combined": "dino"}}, "features": ["-"]}
    with pytest.raises(InputError, match=said):
        enter(tmp_path, {"table": "cells.parquet"}, screen=screen)


@pytest.mark.parametrize(
    "how",
    ["semicolon", "bom", "utf-16", "windows", "small blocks", "decimal comma",
     "quoted decimal comma", "spaces"],
)  # fmt: skip
def test_a_csv_of_any_dialect_gives_the_same_tables(how, expected, tmp_path, monkeypatch):
    if how == "small blocks":
        monkeypatch.setattr("mcvae_ops.archive.csv_tables._BLOCK_BYTES", 500)
    has_comma = how.endswith("decimal comma")
    text = two_wells().to_csv(
        index=False, sep=";" if has_comma or how == "semicolon" else ",",
        decimal="," if has_comma else ".", quoting=int(how.startswith("quoted")),
    )  # fmt: skip
    text = text.replace("\n", "\r\n") if how == "windows" else text
    text = text.replace(",", ", ") if how == "spaces" else text
    encoding = {"bom": "utf-8-sig", "utf-16": "utf-16"}.get(how, "utf-8")
    (tmp_path / "other").mkdir()
    (tmp_path / "other/cells.csv").write_bytes(text.encode(encoding))
    assert_same(enter(tmp_path / "other", {"table": "cells.csv"}, screen=TWO_WELLS), expected)


@pytest.mark.parametrize(("name", "is_packed"), [("cells.csv", True), ("cells.csv.gz", False)])
def test_the_bytes_of_a_csv_say_whether_it_is_packed(name, is_packed, expected, tmp_path):
    """A browser unpacks what it fetches and keeps the name."""
    text = two_wells().to_csv(index=False).encode()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / name).write_bytes(gzip.compress(text) if is_packed else text)
    assert_same(enter(tmp_path / "other", {"table": name}, screen=TWO_WELLS), expected)


def test_a_csv_keeps_the_spelling_of_names(tmp_path):
    text = "plate,well,tile,y_px,x_px,guide,gene,area\n007,A1,1.0,3,4,0012,nontargeting,1\n"
    (tmp_path / "cells.csv").write_text(text)
    cells, features, _ = enter(tmp_path, {"table": "cells.csv"}, screen={"plates": {"007": ["A1"]}})
    assert cells.loc[0, ["plate", "guide", "tile"]].tolist() == ["007", "0012", 1]
    assert features["area"].tolist() == [1.0]


@pytest.mark.parametrize(
    ("damage", "found"),
    [
        (lambda text: text + "1,2\n", "Expected 9 columns, got 2"),
        (lambda text: text.replace("area", "area ", 1) + '"', "CSV parse error"),
        (lambda text: "", "Empty CSV file"),
        (lambda text: "a" * 400_000, "field larger than field limit"),
    ],
)
def test_a_damaged_csv_is_one_sentence(damage, found, tmp_path):
    (tmp_path / "cells.csv").write_text(damage(cells_of().to_csv(index=False)))
    with pytest.raises(InputError, match=rf"^table cells\.csv: found damage .*{found}"):
        enter(tmp_path, {"table": "cells.csv"})


def test_a_feature_that_turns_out_to_be_text_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("mcvae_ops.archive.csv_tables._BLOCK_BYTES", 400)
    frame = cells_of(area=["1.5"] * 39 + ["high"], mean=["0.5"] * 36 + ["", "0", "-inf", "n.d."])
    frame.to_csv(tmp_path / "cells.csv", index=False)
    with pytest.raises(InputError) as caught:
        enter(tmp_path, {"table": "cells.csv"})
    assert str(caught.value) == (
        "table cells.csv: found damage (text in columns of numbers: area ('high'), mean ('n.d.')), "
        "expected a table that can be read to its end; replace it, name a column of numbers in "
        "place of one of text, or name columns of text in screen.not_features."
    )
    frame = cells_of().astype({"area": object})
    frame.loc[7, "area"] = "high"
    with closing(sqlite3.connect(tmp_path / "cells.db")) as database:
        database.execute("CREATE TABLE Cells (plate TEXT, well TEXT, tile INT, y_px REAL, x_px "
                         "REAL, guide TEXT, gene TEXT, area FLOAT, mean FLOAT)")  # fmt: skip
        frame.to_sql("Cells", database, index=False, if_exists="append")
    with pytest.raises(InputError, match=r"text in columns of numbers: area \('high'\)"):
        enter(tmp_path, {"table": "cells.db#Cells"})


@pytest.mark.parametrize("kind", ["REAL", ""])
def test_a_database_leaves_empty_text_where_nothing_was(kind, expected, tmp_path):
    """As the import of a CSV by SQLite's own program does; its columns need no type."""
    frame = two_wells()
    frame["area"] = frame["area"].astype(object).where(frame["area"].notna(), "")
    frame = pd.concat([frame[3:4], frame.drop(index=3)])  # the first row says nothing of the type
    (tmp_path / "other").mkdir()
    with closing(sqlite3.connect(tmp_path / "other/cells.db")) as database:
        database.execute("CREATE TABLE Cells (plate, well, tile, y_px REAL, x_px REAL, guide, "
                         f"gene, area {kind}, mean {kind})")  # fmt: skip
        frame.to_sql("Cells", database, index=False, if_exists="append")
    assert_same(enter(tmp_path / "other", {"table": "cells.db#Cells"}, screen=TWO_WELLS), expected)


def test_a_database_names_its_tables(tmp_path):
    write_table(cells_of(), tmp_path / "cells.sqlite", "Nuclei")
    for address, found in (("cells.sqlite#Cells", "no table 'Cells'"),
                           ("cells.sqlite", "no name of a table")):  # fmt: skip
        with pytest.raises(InputError, match=rf"{found}, expected one of its tables \(Nuclei\)"):
            enter(tmp_path, {"table": address})


@pytest.mark.parametrize("name", ["cells.sqlite", "cells.h5ad", "cells.parquet"])
def test_columns_of_a_remote_table_are_checked_before_it_is_fetched(name, tmp_path, monkeypatch):
    monkeypatch.setattr("mcvae_ops.archive.table_files._SCHEMA_BYTES", 1 << 16)
    monkeypatch.setattr("mcvae_ops.archive.table_files._AHEAD_BYTES", 1 << 14)
    frame = cells_of(4000, **{f"f{k}": np.random.default_rng(k).random(4000) for k in range(40)})
    write_table(frame.rename(columns={"gene": "symbol"}), tmp_path / "served" / name)
    size_bytes = (tmp_path / "served" / name).stat().st_size
    table = "#Cells" * name.endswith("sqlite")
    with serving(tmp_path) as objects:
        address = f"{objects.address}/served/{name}{table}"
        (entry,) = in_full({"cells": {"table": address}, "labels": None})["cells"]
        with pytest.raises(InputError, match=r"gene is missing; their columns are plate, well,"):
            list_feature_parts([entry], [], SCREEN, ARCHIVE, str(tmp_path / "parts"))
        assert objects.sent_bytes() < size_bytes / 2


# --- Places -----------------------------------------------------------------------------------


def split_into(folder, of_well) -> None:
    for well, rows in two_wells().groupby("well"):
        write_table(rows.drop(columns="well").reset_index(drop=True), folder / of_well(well))


def zipped(folder) -> None:
    split_into(folder / "unpacked", lambda well: f"{well}.csv")
    with zipfile.ZipFile(folder / "all.zip", "w") as archive:
        archive.writestr("README.md", "two wells")
        archive.writestr("__MACOSX/._A1.csv", "x")
        for well in ("A1", "A2"):
            archive.write(folder / f"unpacked/{well}.csv", f"wells/{well}.csv")


PLACES = {
    "files of wells": ("{well}.parquet", lambda f: split_into(f, "{}.parquet".format)),
    "spelled otherwise": (
        "P1_{row}{column:2}_{*}.csv",
        lambda f: split_into(f, lambda w: f"P1_{w[0]}0{w[1]}_2020-01-01.csv"),
    ),
    "hive partitions": ("", lambda f: split_into(f, "table/well={}/part-0.parquet".format)),
    "a folder": ("wells", lambda f: split_into(f, "wells/well={}/a.csv.gz".format)),
    "members of a zip": ("all.zip/wells/{well}.csv", zipped),
}


@pytest.mark.parametrize("where", ["folder", "bucket"])
@pytest.mark.parametrize("place", PLACES)
def test_the_path_says_what_no_column_says(place, where, expected, tmp_path, monkeypatch):
    address, write = PLACES[place]
    folder = tmp_path / "other"
    folder.mkdir()
    write(folder)
    (folder / "notes.md").write_text("no table")
    cells = {"table": address or "table"}
    if where == "folder":
        assert_same(enter(folder, cells, screen=TWO_WELLS), expected)
        return
    with serving(tmp_path) as objects:
        monkeypatch.setenv("AWS_ENDPOINT_URL", objects.address)
        found = enter(folder, cells, screen=TWO_WELLS, archive={"root": "s3://other"})
    assert_same(found, expected)


def test_a_listed_table_stays_below_the_cache(tmp_path, monkeypatch):
    """A bucket may name its objects as it likes; nobody's files are replaced by them."""
    foreign = tmp_path / "other_out/foreign.csv"
    foreign.parent.mkdir()
    foreign.write_text("mine")
    content = cells_of().to_csv(index=False).encode()
    page = (
        "<ListBucketResult><Contents><Key>tables/../../../foreign.csv</Key>"
        f"<Size>{len(content)}</Size></Contents></ListBucketResult>"
    ).encode()

    def handle(connection, request, n):
        span = ("Content-Range", f"bytes 0-{len(content) - 1}/{len(content)}")
        asked = answer(206, content, span) if "Range:" in request else answer(200, content)
        connection.sendall(answer(200, page) if "list-type" in request else asked)

    with raw_server(handle) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.address)
        cells, _, _ = enter(tmp_path / "other", {"table": "tables"}, archive={"root": "s3://pub/"})
    assert len(cells) == 40 and foreign.read_text() == "mine"


def test_a_dataset_of_dataverse_by_its_doi(expected, tmp_path, monkeypatch):
    """The DOI resolves to a page of the Dataverse, which lists the files, as its API documents."""
    server, doi = tmp_path / "server", "doi:10.7910/DVN/VYKTI5"
    parts = [server / f"api/access/datafile/{k}" for k in (1, 2)]
    stage = ["interphase-cells.parquet", "mitotic-cells.parquet"]
    for part, (_, rows) in zip(parts, two_wells().groupby("well"), strict=True):
        part.parent.mkdir(parents=True, exist_ok=True)
        rows.to_parquet(part)
    listed = dataset_of(parts)
    for entry, name in zip(listed["data"]["latestVersion"]["files"], stage, strict=True):
        entry |= {"directoryLabel": name, "label": "part-0.parquet"}
    (server / "api/datasets/:persistentId").mkdir(parents=True)
    (server / "api/datasets/:persistentId/index.html").write_text(json.dumps(listed))
    with serving(tmp_path) as objects:
        page = f"{objects.address}/server/citation?persistentId={doi}"
        answer = {"values": [{"type": "URL", "data": {"format": "string", "value": page}}]}
        monkeypatch.setattr(dataverse, "read_json", fake_api(objects, answer, listed))
        with pytest.raises(InputError, match="DOI"):
            dataverse.dataset_url("doi:10.1/NO/SUCHID", {})
        assert dataverse.dataset_url(doi, {}) == (
            f"{objects.address}/api/datasets/:persistentId/?persistentId={doi}"
        )


def fake_api(objects, answer: dict, listed: dict):
    def read_json(address: str, archive: dict) -> dict:
        if address.startswith(dataverse.RESOLVER):
            return answer if address.endswith("VYKTI5") else {"responseCode": 100}
        return listed

    return read_json


@pytest.mark.parametrize(
    ("text", "root", "parts"),
    [
        ("doi:10.7910/DVN/VYKTI5/{stage}-{*}", None,
         ("doi:10.7910/DVN/VYKTI5", None, "{stage}-{*}", None)),
        ("doi:10.18710/ABC123", "s3://b", ("doi:10.18710/ABC123", None, "", None)),
        ("https://a.org/api/datasets/:persistentId/?persistentId=doi:10.7910/DVN/VYKTI5/{*}", None,
         ("https://a.org/api/datasets/:persistentId/?persistentId=doi:10.7910/DVN/VYKTI5", None,
          "{*}", None)),
        ("study/dataset.json/{stage}-{*}", "/data", ("/data/study/dataset.json", None,
                                                     "{stage}-{*}", None)),
        ("{plate}/{plate}.sqlite#Nuclei", "s3://b/p", (None, "s3://b/p", "{plate}/{plate}.sqlite",
                                                       "Nuclei")),
        ("/data/x/{plate}.csv", "s3://b", (None, "/data/x/", "{plate}.csv", None)),
        ("s3://b/x/cells/", "/data", (None, "s3://b/x/", "cells", None)),
        ("cells.csv", None, (None, None, "cells.csv", None)),
    ],
)  # fmt: skip
def test_an_address_is_taken_apart(text, root, parts):
    address = table_address(text, "cells.table", root)
    assert (address.dataset, address.root, address.names.text, address.table) == parts


@pytest.mark.parametrize(
    ("pattern", "path", "place"),
    [
        ("{stage}-{*}", "mitotic-a.parquet/P1/x.parquet", {"stage": "mitotic"}),
        ("{stage}-{*}", "mitotic-a.zip/b.parquet", {"stage": "mitotic"}),
        ("{plate}/{well}.csv", "P1/a1.csv", {"plate": "P1", "well": "A01"}),
        ("{plate}/{well}.csv", "P1/a1.tsv", None),
        ("all", "all/well=b2/stage=M%20phase/x.csv", {"well": "B02", "stage": "M phase"}),
    ],
)
def test_a_path_says_plate_well_and_stage(pattern, path, place):
    assert table_address(f"/data/{pattern}", "cells.table").place(path) == place


def test_no_file_at_an_address_is_one_sentence(tmp_path):
    (tmp_path / "a.csv").write_text("x")
    with pytest.raises(InputError) as caught:
        enter(tmp_path, {"table": "{plate}.parquet"})
    assert str(caught.value).startswith(
        "configuration key cells.table: found no table among 1 files, such as a.csv, expected "
        "files like {plate}.parquet that end with .parquet"
    )


# --- Columns ----------------------------------------------------------------------------------


def test_columns_are_joined_calculated_and_parsed(expected, tmp_path):
    frame = two_wells()
    other = frame.assign(
        well_row=frame["well"].str[0], well_col=frame["well"].str[1:].astype(float),
        ID=[f"P1_{t}_{k}" for k, t in enumerate(frame["tile"])], shift=10.0,
        Center_Y=frame["y_px"] - 10.0, twice=2 * frame["x_px"],
    ).drop(columns=["plate", "well", "tile", "y_px", "x_px"])  # fmt: skip
    write_table(other, tmp_path / "other/cells.csv")
    cells = {
        "table": "cells.csv",
        "columns": {"well": "{well_row}{well_col}", "y_px": "{Center_Y} + {shift}",
                    "x_px": "({twice} + {twice}) / 4"},
        "parse": {"ID": "{plate}_{tile}_{*}"},
    }  # fmt: skip
    found = enter(tmp_path / "other", cells, screen=TWO_WELLS)
    pd.testing.assert_frame_equal(found[0], expected[0], atol=1e-3)
    np.testing.assert_allclose(found[1]["area"], expected[1]["area"])


@pytest.mark.parametrize(
    ("text", "columns", "calculates"),
    [
        ("area", ("area",), False), ("a b", ("a b",), False), ("{a}", ("a",), False),
        ("{a}/{b}", ("a", "b"), False), ("{a}-{b}", ("a", "b"), False),
        ("{a} {b}", ("a", "b"), False), ("{a} + {b}", ("a", "b"), True),
        ("2 * {a} - ({b} + {a})", ("a", "b", "a"), True),
    ],
)  # fmt: skip
def test_an_expression_is_a_column_a_text_or_a_sum(text, columns, calculates):
    found = expression(text, "cells.columns.y_px")
    assert (found.columns, found.calculates) == (columns, calculates)


@pytest.mark.parametrize("text", ["{a", "{}", "{a} + os.remove({b})", "{a} + ", "{a} + {b} c"])
def test_an_expression_that_is_none_is_refused(text):
    with pytest.raises(InputError, match=r"^cells.columns.y_px: found .*expected the name of a"):
        expression(text, "cells.columns.y_px")


# --- Joins ------------------------------------------------------------------------------------


def cell_profiler(folder, doubled: bool = False) -> pd.DataFrame:
    """Write Image, Nuclei and Cells of a CellProfiler database; cell 4 is not of nucleus 4."""
    frame = two_wells()
    frame["ImageNumber"] = frame["tile"] + 100 * (frame["well"] == "A2")
    frame["nucleus"] = frame.groupby("ImageNumber").cumcount() + 1
    images = frame.drop_duplicates("ImageNumber")
    images = pd.DataFrame({
        "ImageNumber": images["ImageNumber"], "Image_Metadata_Plate": "P1",
        "Image_Metadata_Well": images["well"] + "", "Image_Metadata_Site": images["tile"],
        "Image_Count_Cells": 3, "Count_Foci": 7,
    })  # fmt: skip
    nuclei = pd.DataFrame({
        "ImageNumber": frame["ImageNumber"], "ObjectNumber": frame["nucleus"],
        "Nuclei_Location_Center_Y": frame["y_px"], "Nuclei_Location_Center_X": frame["x_px"],
        "Nuclei_Area": frame["area"],
    })  # fmt: skip
    cells = pd.DataFrame({
        "ImageNumber": frame["ImageNumber"], "Cells_Parent_Nuclei": frame["nucleus"],
        "ObjectNumber": 1000 - frame["nucleus"], "Cells_Mean": frame["mean"],
    }).sample(frac=1, random_state=0)  # fmt: skip
    cells = pd.concat([cells, cells[:1]]) if doubled else cells[1:]
    for name, table in {"Image": images, "Nuclei": nuclei, "Cells": cells}.items():
        write_table(table, folder / "P1.sqlite", name)
    calls = frame[["ImageNumber", "nucleus", "guide"]]
    write_table(calls, folder / "calls.csv")
    library = pd.DataFrame({"sgRNA": sorted(set(frame["guide"]))})
    library["gene"] = library["sgRNA"].str.partition("_")[0]
    write_table(library, folder / "library.csv")
    return cells


JOINED = [
    {"table": "{plate}.sqlite#Nuclei", "columns": {
        "image": "ImageNumber", "nucleus": "ObjectNumber", "y_px": "Nuclei_Location_Center_Y",
        "x_px": "Nuclei_Location_Center_X"}},
    {"table": "{plate}.sqlite#Image", "columns": {
        "image": "ImageNumber", "well": "Image_Metadata_Well", "tile": "Image_Metadata_Site"}},
    {"table": "{plate}.sqlite#Cells", "columns": {
        "image": "ImageNumber", "nucleus": "Cells_Parent_Nuclei"}},
    {"table": "calls.csv", "columns": {"image": "ImageNumber", "nucleus": "nucleus"}},
]  # fmt: skip
LABELS = {"table": "library.csv", "columns": {"guide": "sgRNA"}}


def test_tables_are_joined_by_the_names_they_share(expected, tmp_path):
    there = cell_profiler(tmp_path / "other")
    found = enter(tmp_path / "other", JOINED, LABELS, screen=TWO_WELLS)
    pd.testing.assert_frame_equal(found[0], expected[0])
    assert list(found[1]) == ["cell_id", "Nuclei_Area", "Cells_Mean"]
    np.testing.assert_allclose(found[1]["Nuclei_Area"], expected[1]["area"])
    is_there = found[1]["Cells_Mean"].notna()
    assert is_there.sum() == len(there) == 59  # one nucleus has no cell
    np.testing.assert_allclose(found[1]["Cells_Mean"][is_there], expected[1]["mean"][is_there])
    reasons = found[2].set_index("column")["reason"]
    assert reasons["Count_Foci"] == "of a table that is joined by image, well or guide"


def test_two_rows_for_one_cell_are_refused(tmp_path):
    cell_profiler(tmp_path / "other", doubled=True)
    with pytest.raises(InputError, match=r"^table cells\[2\]: image nucleus .* is defined twice"):
        enter(tmp_path / "other", JOINED, LABELS, screen=TWO_WELLS)


def test_features_of_a_table_of_their_own_are_found_by_the_cell_alone(expected, tmp_path):
    frame = two_wells().assign(cell=np.arange(60) + 0.0)
    write_table(frame.drop(columns=["area", "mean"]), tmp_path / "other/calls.csv")
    write_table(frame[["cell", "area", "mean"]].sample(frac=1), tmp_path / "other/features.parquet")
    cells = [{"table": "calls.csv", "columns": {"cell": "cell"}},
             {"table": "features.parquet", "columns": {"cell": "cell"}}]  # fmt: skip
    assert_same(enter(tmp_path / "other", cells, screen=TWO_WELLS), expected)


def test_a_plate_map_and_a_library_label_cells(expected, tmp_path):
    frame = two_wells()
    write_table(frame.drop(columns=["gene"]), tmp_path / "other/cells.parquet")
    library = frame[["guide", "gene"]].drop_duplicates()
    library["role"] = np.where(library["gene"] == "nontargeting", "control", "targeting")
    library["gene"] = " " + library["gene"] + " "
    write_table(library, tmp_path / "other/library.tsv")
    found = enter(tmp_path / "other", {"table": "cells.parquet"}, {"table": "library.tsv"},
                  screen=TWO_WELLS | {"control": {"role": ["control"]}})  # fmt: skip
    assert_same(found, expected)


def test_an_arrayed_screen_has_no_guides(tmp_path):
    frame = two_wells()
    write_table(frame.drop(columns=["gene", "guide"]), tmp_path / "cells.parquet")
    (tmp_path / "map.csv").write_text("well,gene\na01,DMSO\nA02,taxol\nA03,taxol\n")
    cells, _, _ = enter(tmp_path, {"table": "cells.parquet"}, {"table": "map.csv"},
                        screen=TWO_WELLS | {"control": "DMSO"})  # fmt: skip
    genes = cells.groupby("well")[["gene", "guide"]].first()
    assert genes.loc["A1"].tolist() == ["NTC", "DMSO"]
    assert genes.loc["A2"].tolist() == ["taxol", "taxol"]


def test_labels_that_contradict_themselves_or_fit_nothing_are_refused(tmp_path, caplog):
    frame = two_wells()
    write_table(frame.drop(columns=["gene", "guide"]), tmp_path / "cells.parquet")
    cells, plates = {"table": "cells.parquet"}, tmp_path / "map.csv"
    screen = TWO_WELLS | {"control": "DMSO"}

    def refused(text: str, **more) -> str:
        plates.write_text(text)
        with pytest.raises(InputError) as caught:
            enter(tmp_path, cells, {"table": "map.csv"}, screen=screen | more)
        return str(caught.value)

    assert refused("well,gene\nA1,DMSO\nA2,taxol\nA2,noco\n") == (
        "configuration key labels: found 1 keys with two labels, as well A02: gene 'taxol' and "
        "'noco', expected one gene of each well; correct the table, or set "
        "screen.ambiguous_labels: drop to leave them out."
    )
    assert refused("well,gene\nC1,DMSO\n") == (
        "configuration key labels: found well 'C01', expected the well of cells, such as 'A01', "
        "'A02'; correct the columns that both tables are joined by."
    )
    assert refused("position,gene\nA1,DMSO\n") == (
        "configuration key labels: found the names gene, expected a name of the tables before it "
        "(plate, tile, well, x_px, y_px); name the columns that both are joined by, under columns "
        "of both tables."
    )
    plates.write_text("well,gene\nA1,DMSO\nA2,taxol\nA2,noco\n")
    dropping = screen | {"ambiguous_labels": "drop"}
    left, _, _ = enter(tmp_path, cells, {"table": "map.csv"}, screen=dropping)
    assert set(left["well"]) == {"A1"}
    assert "no row for 30 of 60 cells (well 'A02')" in caplog.text
