"""Cells on images, as the configuration describes them: what is missing is said before a job."""

import numpy as np
import pytest

from mcvae_ops.cells.image_cells import check_labels
from mcvae_ops.errors import InputError
from mcvae_ops.workflow.snakefile import cell_tables, cells_on_images
from tests.helpers.cell_tables import ARCHIVE, cells_of, enter
from tests.helpers.configurations import checked

SCREEN = {
    "name": "plain", "plates": {"P": "A1-B2"}, "tiles": "1-2", "tile_size_px": [540, 720],
    "channels": [{"name": "dna"}, {"name": "actin"}], "control": "DMSO", "pixel_size_um": 0.5,
    "images": "{well}_{tile}_{channel}.tif",
    "well_grid": {"column_heights": [3], "centre_tiles": 1, "published_centre_tiles": 1},
}  # fmt: skip


def configured(tmp_path, cells, labels=True) -> dict:
    (tmp_path / "platemap.csv").write_text("well,gene\nA1,DMSO\n")
    table = {"table": "platemap.csv"} if labels else None
    return checked(
        {
            "source": "archive", "screen": SCREEN, "archive": {"root": str(tmp_path)},
            "cells": cells, "labels": table, "alignment": {"in_register": "all"},
            "crop": {"size_px": 64}, "profiles": {"main_model": "mcvae"},
        }
    )  # fmt: skip


def test_a_diameter_in_um_becomes_one_in_px(tmp_path):
    config = configured(tmp_path, {"segment": {"channel": "dna", "diameter_um": 15}})
    segment = {"channel": "dna", "diameter_px": 30, "method": "watershed"}
    assert cells_on_images(config) == {"masks": None, "segment": segment, "measure": True}


def test_masks_are_measured_unless_they_are_not_to_be(tmp_path):
    config = configured(tmp_path, {"masks": "masks/{well}_{tile}.tif", "measure": False})
    assert cells_on_images(config) == {
        "masks": "masks/{well}_{tile}.tif", "segment": None, "measure": False,
    }  # fmt: skip
    assert cell_tables(config)[0]["table"].endswith(
        "results/plain/segmented/{plate}/{well}.parquet"
    )


def test_further_tables_join_the_cells_of_masks(tmp_path, monkeypatch):
    """A table of wells that says the role of each, and a plate map without genes of controls."""
    monkeypatch.chdir(tmp_path)
    roles = {"table": "roles.csv", "columns": {"role": "type"}}
    cells = [{"masks": "masks/{well}_{tile}.tif"}, roles]
    (tmp_path / "roles.csv").write_text("well,type\nA01,negcon\na2,trt\n")
    config = configured(tmp_path, cells)
    tables = cell_tables(config)
    (tmp_path / "platemap.csv").write_text("well,gene\nA1,\nA2,taxol\n")
    screen = {"plates": {"P": ["A1", "A2"]}, "control": {"role": "negcon"}}
    for well in ("A1", "A2"):
        path = tmp_path / f"results/plain/segmented/P/{well}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        found = cells_of(12, plate="P", well=well).drop(columns=["guide", "gene"])
        found.to_parquet(path)
    labels = [{"table": "platemap.csv", "columns": {}, "parse": {}}]
    plain = config["screen"] | screen | {"batch": ["plate"]}
    archive = ARCHIVE | {"root": str(tmp_path)}
    check_labels(tables[1:], labels, plain, {"measure": True}, archive, str(tmp_path / "genes"))
    entered, features, _ = enter(tmp_path, tables, labels, screen)
    assert (entered["is_ntc"] == (entered["well"] == "A1")).all() and len(entered) == 24
    assert set(entered["gene"]) == {"NTC", "taxol"} and list(features)[1:] == ["area", "mean"]
    assert np.isfinite(features["area"]).all()


SEGMENT = {"channel": "dna", "diameter_px": 30}


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ({"segment": SEGMENT | {"channel": "DAPI"}}, "channel 'DAPI', expected a channel of the s"),
        ({"segment": {"channel": "dna"}}, "found no diameter, expected diameter_px or diameter_um"),
        ({"segment": SEGMENT | {"diameter_um": 15}}, "found diameter_px and diameter_um, expected"),
        ({"segment": SEGMENT | {"method": "otsu"}}, "cells.0.segment.method"),
        ({"segment": SEGMENT, "masks": "m_{well}_{tile}.tif"}, "found masks and segment, expected"),
        ({"table": "cells.csv", "measure": True}, "found true beside a table, expected cells of"),
        ({"segment": SEGMENT, "vectors": {"x": "x.npy"}}, "cells.vectors: found vectors without a"),
        ({"masks": "masks/{well}.tif"}, r"key cells.masks: .*without \{tile\}"),
    ],
)  # fmt: skip
def test_cells_that_are_not_described_whole(tmp_path, cells, message):
    (tmp_path / "cells.csv").touch()
    with pytest.raises(InputError, match=message):
        configured(tmp_path, cells)


def test_images_alone_say_nothing_of_genes(tmp_path):
    with pytest.raises(InputError, match="labels: a plate map is missing; images say nothing of g"):
        configured(tmp_path, {"segment": SEGMENT}, labels=False)
