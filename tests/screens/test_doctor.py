"""The doctor on twelve layouts: ten twins, each served in its way, and two folders of real images.

Every value is right, or asked for. What is answered here is what was asked, and nothing else: then
the configuration is planned, and the twins are cropped, bit for bit.
"""

import re
import time
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from mcvae_ops.archive import dataverse
from mcvae_ops.archive.patterns import wells_of
from mcvae_ops.doctor.examine import doctor
from mcvae_ops.doctor.finding import Finding, as_config, as_yaml
from mcvae_ops.screen import crops_are_given
from tests.conftest import ROOT
from tests.helpers import archive_process, object_server
from tests.helpers.configurations import DEFAULTS, SCHEMA, checked
from tests.helpers.ready_tables import READY
from tests.helpers.runs import snakemake
from tests.helpers.twins import CROP_PX, FUNK_PLATE, Twin, described, write_twin
from tests.screens.test_public_screens import cells_of, expected_crop, shards_of, write_study

FUNK_IMAGES = (
    "screenA/{plate}/phenotype/images/input/DAPI-GFP-A594-AF750/"
    "20X_DAPI-GFP-A594-AF750_{well}_{channel}_Site-{tile}.tif"
)
JUMP = "images/2020_11_04_CPJUMP1/images/{plate}__2020-11-02T19_54_45-Measurement1/Images/"
SEGMENTED = {"cells.segment.channel": None, "cells.segment.diameter_px": 9}
AT_WORD = {"y_px": "y", "x_px": "x", "guide": "barcode", "well": "{well_row}{well_col}"}
LIBRARY = {"guide": "barcode", "gene": "gene_symbol"}

# Values that must be right. None: the key has to be a question, whatever stands there.
TRUTH: dict[str, dict] = {
    "funk2022": {
        "screen.plates": {FUNK_PLATE: ["A1", "B3"]}, "screen.tiles": "0-3",
        "screen.tile_size_px": 96, "screen.z_planes": 4, "screen.images": FUNK_IMAGES,
        "channels": [("A594", None), ("AF750", None), ("DAPI", 0), ("GFP", 1)],
        "screen.control": "nontargeting", "screen.batch": "default",
        "cells.columns": {"y_px": "cell_i", "x_px": "cell_j", "guide": "sgRNA_0",
                          "gene": "gene_symbol_0"},
        "alignment.in_register": None, "screen.pixel_size_um": None, "crop.size_px": None,
    },
    "aconcagua": {
        "screen.plates": {"1": "A1-A2", "2": "A1-A2"}, "screen.tiles": "0-1",
        "screen.tile_size_px": 96, "screen.images": "aconcagua_{plate}.zarr",
        "channels": [("TUBULIN", None), ("DAPI", None), ("PHALLOIDIN", None), ("GH2AX", None)],
        "screen.control": {"role": "control"}, "screen.batch": "default",
        "cells.columns": AT_WORD | {"stage": "cell_class"}, "labels.columns": LIBRARY,
        "screen.pixel_size_um": None, "crop.size_px": None,
    },
    "periscope": {
        "screen.plates": {"CP186A": ["Well1"]}, "screen.tiles": "1-4", "screen.tile_size_px": 96,
        "screen.images": "images/20200805_A549_WG_Screen/images_corrected_cropped/{plate}_{well}/"
        "Corr{channel}/{*}_Site_{tile}.tiff",
        "channels": [(name, None) for name in ("DNA", "ER", "Mito", "Phalloidin", "WGA")],
        "screen.control": "nontargeting", "screen.batch": "default", "cells": None,
        "alignment.in_register": None, "screen.pixel_size_um": None, "crop.size_px": None,
    },
    "jump": {
        "screen.plates": {"BR00117006": "A01-B06"}, "screen.tiles": "1-2",
        "screen.tile_size_px": 96,
        "screen.images": JUMP + "r{row:2}c{column:2}f{tile:2}p01-ch{channel}sk1fk1fl1.tiff",
        "screen.channels": None, "screen.control": {"role": "negcon"}, "screen.batch": ["plate"],
        "alignment.in_register": None, "screen.pixel_size_um": None, "crop.size_px": None,
    },
    "bbbc021": {
        "screen.plates": {"Week1_22123": ["B02", "C05"], "Week1_22141": ["B02", "C05"]},
        "screen.tiles": "1-4", "screen.tile_size_px": [96, 128],
        "screen.images": "{plate}/Week1_150607_{well}_s{tile}_w{channel:1}{*}.tif",
        "screen.channels": None, "screen.control": "DMSO", "screen.batch": ["plate"], "cells": None,
        "labels.columns": {
            "plate": "Image_Metadata_Plate_DAPI", "well": "Image_Metadata_Well_DAPI",
            "gene": "Image_Metadata_Compound",
            "dose": "Image_Metadata_Concentration"},
        "alignment.in_register": None, "screen.pixel_size_um": None, "crop.size_px": None,
    },
    "nf1": {
        "screen.plates": {"nf1": ["B7", "D6", "H12"]}, "screen.tiles": "1-4",
        "screen.tile_size_px": [96, 128],
        "screen.images": "images/{well}_01_{*}_{tile}_{channel}_001.tif",
        "channels": [("DAPI", None), ("GFP", None), ("RFP", None)], "screen.control": "WT",
        "screen.batch": ["plate"], "labels.columns": {"gene": "genotype"},
        "cells.masks": "masks/{well}_01_1_{tile}_DAPI_001_MaskNuclei.tiff",
        "alignment.in_register": None, "screen.pixel_size_um": None, "crop.size_px": None,
    },
    "cp_posh": {
        "screen.plates": None, "screen.channels": None, "screen.control": "nontargeting",
        "cells.parse": {"ID": "{plate}_{well}_{*}"}, "screen.features": [], "crop.size_px": 32,
        "cells.columns": {"crop": "path", "guide": "barcode", "gene": "gene_id"},
    },
    "idr": {
        "screen.plates": {"2551": "A1-A3"}, "screen.tiles": "0-1", "screen.z_planes": 3,
        "screen.tile_size_px": [96, 128], "screen.images": "2551.zarr",
        "channels": [("GFP", None), ("Cascade blue", None)], "labels": None, "cells": None,
        "screen.pixel_size_um": None, "crop.size_px": None,
    },
    "plain": {
        "screen.plates": {"plain": "A01-B03"}, "screen.tiles": "1-2",
        "screen.tile_size_px": [96, 128], "screen.images": "{well}_{tile}_{channel}.tif",
        "channels": [("dna", None), ("actin", None)], "screen.control": ["DMSO", "untreated"],
        "screen.batch": ["plate"], "cells": None, "alignment.in_register": None,
        "screen.pixel_size_um": None, "crop.size_px": None,
    },
    "leonetti": {
        "screen.plates": {"Biohub_OPS0001": "A1-A3"}, "screen.tile_size_px": [320, 360],
        "screen.images": "{plate}.zarr", "screen.control": {"role": "control"},
        "screen.channels": None, "cells.columns": AT_WORD, "labels.columns": LIBRARY,
        "screen.cut_px": 160, "screen.features": [], "screen.pixel_size_um": None,
        "crop.size_px": None,
    },
    "real nf1": {
        "screen.plates": {"Plate_2": ["B7", "D6", "D7", "F7", "H12"]}, "screen.tiles": "1-3",
        "screen.tile_size_px": [904, 1224],
        "screen.images": "images/{well}_01_{*}_{tile}_{channel}_001.tif",
        "channels": [("DAPI", None), ("GFP", None), ("RFP", None)], "labels": None,
        "cells.masks": "masks/{well}_01_1_{tile}_DAPI_001_MaskNuclei.tiff",
        "screen.batch": ["plate"], "alignment.in_register": None, "screen.pixel_size_um": None,
        "crop.size_px": None,
    },
    "real jump": {
        "screen.plates": {"BR00117006": ["A01"]}, "screen.tiles": "1", "screen.tile_size_px": 1080,
        "screen.images": "images/r{row:2}c{column:2}f{tile:2}p01-ch{channel}sk1fk1fl1.tiff",
        "screen.pixel_size_um": 0.597976, "screen.channels": None, "labels": None,
        "cells.columns": {
            "plate": "Metadata_Plate", "well": "Metadata_Well", "tile": "Image_Metadata_Site",
            "y_px": "Nuclei_Location_Center_Y", "x_px": "Nuclei_Location_Center_X"},
        "alignment.in_register": None, "crop.size_px": 50,
    },
}  # fmt: skip


def written_labels(genes: dict[str, str]) -> Callable[[Path], None]:
    """Fill in the plate map that the doctor has written."""

    def fill(path: Path) -> None:
        table = pd.read_csv(path, dtype=str)
        table.assign(gene=table["well"].map(genes)).to_csv(path, index=False)

    return fill


# The answers to questions, and to nothing else.
ANSWERS: dict[str, dict] = {
    "funk2022": {"alignment": {"in_register": None, "measure": {"A594": "DAPI", "AF750": "GFP"},
                               "reference": "DAPI"}},
    "jump": {"screen": {"channels": [{"name": name, "group": str(5 - k)} for k, name in
                                     enumerate(("DNA", "ER", "RNA", "AGP", "Mito"))]}},
    "bbbc021": {"screen": {"channels": [{"name": "DAPI", "group": "1"},
                                        {"name": "tubulin", "group": "2"},
                                        {"name": "actin", "group": "4"}]},
                "cells": {"segment": {"channel": "DAPI", "diameter_px": 9}}},
}  # fmt: skip
PLATE_MAPS = {
    "idr": written_labels({"A01": "control", "A02": "CDC2", "A03": "CDC25"}
                          | {"A1": "control", "A2": "CDC2", "A3": "CDC25"}),
    "real nf1": written_labels({"B7": "control", "D6": "control"}
                               | dict.fromkeys(("D7", "F7", "H12"), "Null")),
    "real jump": written_labels({"A01": "control"}),
}  # fmt: skip


@contextmanager
def looked(name: str, folder: Path, monkeypatch, shared: Path):
    """Yield a twin (or None), the addresses to look at, and a function of the bytes sent."""
    if name.startswith("real "):
        yield None, str(shared / "data/real" / name.removeprefix("real ")), None, lambda: 0
        return
    twin = write_twin(name, folder)
    twin.labels = READY[name](twin)
    if name == "funk2022":
        with archive_process.serving(twin.root) as server:
            write_study(twin, server.address)
            api = f"{server.address}/fine/api/datasets/:persistentId/?persistentId="
            monkeypatch.setattr(dataverse, "dataset_url", lambda doi, archive: api + doi)
            yield (
                twin, f"biostudies:{server.address}/fine/S-BIAD394", "doi:10.7910/DVN/VYKTI5",
                lambda: sum(server.stats()["sent_bytes"].values()),
            )  # fmt: skip
        return
    with object_server.serving(folder, can_list=name != "idr") as objects:
        monkeypatch.setenv("AWS_ENDPOINT_URL", objects.address)
        root = described(name)["archive"]["root"]
        look = f"{objects.address}/idr/2551.zarr" if name == "idr" else root
        yield twin, look, None, objects.sent_bytes


def examined(name: str, look: str, tables: str | None) -> tuple[str, dict, str]:
    """Let the doctor look; return the text, the configuration and the page."""
    Path("config").mkdir()
    paths = (f"config/{name}.yaml", f"config/{name}.md", f"config/{name}_plate_map.csv")
    doctor(look, tables, name, str(DEFAULTS), str(SCHEMA), *paths)
    text = Path(paths[0]).read_text()
    return text, yaml.safe_load(text), Path(paths[1]).read_text()


def value_at(config: dict, key: str) -> object:
    if key == "channels":
        return [(c["name"], c.get("index")) for c in config["screen"]["channels"]]
    for step in key.split("."):
        config = config.get(step) if isinstance(config, dict) else None
    return config


def judged(config: dict, page: str, truth: dict) -> dict[str, str]:
    """Say of each key whether it is right, asked or wrong."""
    asked = set(re.findall(r"^\d+\. `([\w.]+)`:", page, re.MULTILINE))
    verdicts = {}
    for key, wanted in truth.items():
        found = value_at(config, key)
        if wanted is None:
            verdicts[key] = "asked" if key in asked else f"wrong: {found} is not asked"
        elif wanted == "default":
            verdicts[key] = "right" if found is None and key not in asked else f"wrong: {found}"
        else:
            verdicts[key] = "right" if found == wanted else f"wrong: {found}"
    return verdicts


@pytest.mark.parametrize("name", TRUTH)
def test_values_are_right_or_asked_and_lead_to_crops(name, tmp_path, monkeypatch, request):
    shared = request.getfixturevalue("shared") if name.startswith("real ") else None
    monkeypatch.chdir(tmp_path)
    with looked(name, tmp_path, monkeypatch, shared) as (twin, look, tables, sent):
        began_s, screen = time.monotonic(), name.replace(" ", "_")
        _, config, page = examined(screen, look, tables)
        seconds, n_sent = time.monotonic() - began_s, sent()
        verdicts = judged(config, page, TRUTH[name])
        counts = {kind: sum(v.startswith(kind) for v in verdicts.values())
                  for kind in ("right", "asked", "wrong")}  # fmt: skip
        n_bytes = float(re.search(r"Read ([\d.]+) MB", page)[1]) * 1e6
        print(
            f"{name}: {counts}, {n_bytes / 1e6:.2f} MB ({n_sent / 1e6:.2f} sent), {seconds:.1f} s"
        )
        assert not counts["wrong"], {k: v for k, v in verdicts.items() if v.startswith("wrong")}
        assert abs(n_bytes - n_sent) < 20_000 or n_sent == 0
        assert "Not accepted" not in page
        config = answered(name, screen, config)
        checked(config)
        if twin is not None:
            check_crops(twin, config, tmp_path)


def answered(name: str, screen: str, config: dict) -> dict:
    """Answer what was asked; the twins are small, and most of their tiles are planted wrong."""
    for section, keys in ANSWERS.get(name, {}).items():
        config[section] = config.get(section, {}) | keys
        config[section] = {k: v for k, v in config[section].items() if v is not None}
    config["crop"]["size_px"] = CROP_PX if not name.startswith("real ") else 48
    if name in PLATE_MAPS:
        PLATE_MAPS[name](Path(f"config/{screen}_plate_map.csv"))
    return config


def check_crops(twin: Twin, config: dict, folder: Path) -> None:
    """Take a twin to crops by the functions of the rules: they are the planted pixels."""
    run = folder / "run"
    run.mkdir()
    config["crop"] |= {"clip_fraction": 0.0, "max_failed_fraction": 0.6}  # as for other twins
    config["archive"] |= {"retries": 1, "timeout_s": 5}
    if config["screen"]["name"] == "funk2022":  # shifts are whole pixels
        config["alignment"] |= {"binning": 1, "upsample_factor": 1, "consensus_tiles": 4}
    if config["screen"]["name"] == "leonetti":  # to compare counts and numbers of tiles
        config["screen"] |= {"counts": {"scale": 1000, "offset": 5000}, "cut_px": 128}
    whole = checked(config)
    n_crops = 0
    for shard in shards_of(whole, cells_of(whole, run), run):
        is_given = crops_are_given(whole["cells"])
        where = ["plate", "well", "tile", *(["crop"] if is_given else ["y_px", "x_px"])]
        for place, crop in zip(
            shard.cells.select([*where, "gene"]).to_pylist(), np.array(shard.crops), strict=True
        ):
            *cell, gene = place.values()
            planted = next((c for c in twin.labels if same_cell(c, cell)), None)
            assert planted is not None, cell
            assert gene == twin.labels[planted]
            wanted = expected_crop(twin, planted)
            # The channels of this twin are planted in another order than its files have.
            wanted = wanted[::-1] if whole["screen"]["name"] == "aconcagua" else wanted
            np.testing.assert_array_equal(crop, wanted)
            n_crops += 1
    assert n_crops == len(twin.labels)


def same_cell(one: tuple, other: list) -> bool:
    """Say whether two cells are one; plates and wells may be spelled in two ways."""
    well = [wells_of(w.upper())[0].lstrip("0") for w in (one[1], other[1])]
    well = [re.sub(r"(?<=[A-Z])0+", "", w) for w in well]
    is_plate = one[0] == other[0] or other[0] in ("nf1", "plain", "2551")
    return is_plate and well[0] == well[1] and tuple(one[2:]) == tuple(other[2:])


def test_a_folder_is_looked_at_and_planned_through_snakemake(tmp_path):
    READY["plain"](write_twin("plain", tmp_path))
    done = snakemake(tmp_path, "doctor", "--cores", "1", "--config", "look=plain")
    assert done.returncode == 0, done.stdout
    assert "QUESTION screen.pixel_size_um" in done.stdout
    (tmp_path / "config.yaml").write_text((tmp_path / "config/plain.yaml").read_text())
    planned = snakemake(tmp_path, "--dry-run", "--quiet", "rules")
    assert planned.returncode == 0, planned.stdout


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (["look=nowhere"], r"look=\S*nowhere: found no folder"),
        (["look=https://127.0.0.1:9/x"], r"nothing can be listed"),
        (["look=plain", "epochs=3"], r"--config epochs: found beside look"),
    ],
)
def test_an_address_that_cannot_be_looked_at_is_one_sentence(settings, sentence, tmp_path):
    done = snakemake(tmp_path, "doctor", "--cores", "1", "--config", *settings)
    log = "".join(path.read_text() for path in tmp_path.glob("logs/*/doctor.log"))
    assert done.returncode != 0
    assert re.search(sentence, done.stdout + log), done.stdout + log
    assert "Traceback" not in done.stdout + log


def test_questions_stand_as_comments_above_their_keys():
    findings = [
        Finding("screen.tiles", "1-2", "Two sites."),
        Finding("screen.pixel_size_um", None, "No header says it.", "how large is a pixel?"),
        Finding("cells", [{"table": "a.csv"}, {"table": "b.csv"}], "Two tables."),
    ]
    text = as_yaml(findings, ["Head."])
    assert "  # QUESTION: how large is a pixel?\n  # pixel_size_um:\n" in text
    assert yaml.safe_load(text) == as_config(findings)
    assert str(ROOT) not in text
