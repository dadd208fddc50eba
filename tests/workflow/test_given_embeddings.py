"""A screen of embeddings that others made: what its configuration says, and its mistakes."""

import copy
import re

import pytest
import yaml
from snakemake.exceptions import WorkflowError

from mcvae_ops.errors import InputError
from mcvae_ops.screen import tile_numbers
from mcvae_ops.workflow.configuration import read_yaml
from mcvae_ops.workflow.names import Embeddings
from mcvae_ops.workflow.overlays import lay_over
from mcvae_ops.workflow.panel_inputs import undrawable
from mcvae_ops.workflow.snakefile import read_configuration
from tests.conftest import ROOT
from tests.helpers.configurations import DEFAULTS, SCHEMA
from tests.helpers.runs import jobs, write_configuration

CONFIGURATION = {
    "source": "embeddings",
    "screen": {
        "name": "judged",
        "plates": {"P1": ["A1", "A2"]},
        "tiles": "0-8",
        "tile_size_px": 1000,
        "control": "nontargeting",
    },
    "cells": {"table": "tables/{plate}.parquet", "columns": {"y_px": "y", "x_px": "x"}},
    "embeddings": {
        "dino": {"spaces": {"combined": ["0-2", "dino_*"]}, "trained": False},
        "mine": {"spaces": {"salient": "s_*", "background": "z_*"}},
    },
}


def read(**changed) -> dict:
    """Check the configuration with keys changed, or left out (None)."""
    config = copy.deepcopy(CONFIGURATION)
    for key, value in changed.items():
        *parents, last = key.split("__")
        section = config
        for parent in parents:
            section = section.setdefault(parent, {})
        section[last] = value
        if value is None:
            del section[last]
    return read_configuration(config, DEFAULTS, SCHEMA, ROOT)


def test_embeddings_are_the_models_of_the_run():
    config = read()
    names = Embeddings(config)
    shortcuts = ["density", "position", "cell_count"]
    assert names.all["model"] == ["dino", "mine", "random", *shortcuts]
    assert names.shown["model"] == ["dino", *shortcuts]
    assert names.trained == {"model": [], "seed": []}
    assert (names.main, names.significance) == ("dino/0", "dino/0")
    assert [names.is_trained(name) for name in ("dino", "mine", "random")] == [False, True, False]
    assert config["screen"]["features"] == ["0", "1", "2", "dino_*", "s_*", "z_*"]
    chosen = read(profiles__main_model="mine", benchmarks__functions__significance="random")
    assert Embeddings(chosen).main == "mine/0"
    assert Embeddings(chosen).significance == "random/0"


def test_the_examples_of_the_page_are_taken(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder in ("lists", "tables"):
        (tmp_path / folder).mkdir()
    (tmp_path / "lists/corum_humanComplexes.txt").write_text("complex\tgenes\nX\tA;B\n")
    (tmp_path / "lists/groups.csv").write_text("gene,group\nA,x\n")
    page = (ROOT / "docs/embeddings.md").read_text(encoding="utf-8")
    first, *others = map(yaml.safe_load, re.findall(r"^```yaml\n(.*?)^```", page, re.M | re.S))
    config = read_configuration(first, DEFAULTS, SCHEMA, ROOT)
    assert Embeddings(config).main == "mine/0"
    for other in others:
        read_configuration(lay_over(first, other, read_yaml(SCHEMA)), DEFAULTS, SCHEMA, ROOT)


def test_nothing_is_fetched_cropped_or_trained(tmp_path):
    write_configuration(CONFIGURATION | {"models": {}}, tmp_path)
    path = tmp_path / "config.yaml"
    path.write_text(path.read_text().replace("models: {}\n", ""))
    planned = jobs(tmp_path)
    assert planned["take_embedding"] == 2
    assert planned["index_cells"] == planned["hits"] == planned["report"] == 1
    assert not planned.keys() & {"list_files", "crop_chunk", "train_model", "cellprofiler_pca"}


def test_a_plate_that_is_called_by_a_number_is_text():
    assert read(screen__plates={1: ["A1"]})["screen"]["plates"] == {"1": ["A1"]}


def test_cells_of_all_tiles_are_taken_unless_some_are_named():
    assert read()["screen"]["tiles"] == "0-8"
    assert read(screen__tiles=None)["screen"]["tiles"] == "all"
    with pytest.raises(InputError, match=r"screen\.tiles: found 'all', expected the numbers of"):
        tile_numbers("all")


def test_figures_of_a_stage_need_its_name_in_the_configuration(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tables").mkdir()
    (tmp_path / "factors.txt").write_text("gene\nA\n")
    more = {
        "archive__annotations": {"mitotic_factors": "factors.txt"},
        "profiles__main_model": "mine",
    }
    assert (
        "cells.columns.stage, also of a column that is called" in undrawable(read(**more))["fig5b"]
    )
    assert "fig5b" not in undrawable(read(**more, cells__columns__stage="stage"))


def test_embedded_cells_need_no_size_of_a_tile():
    assert read(screen__tile_size_px=None)["screen"]["tile_size_px"] is None


def test_crops_beside_embeddings_are_of_pictures_alone():
    config = read(
        cells__columns__crop="crops.npy#{row_number}",
        screen__channels=[{"name": "DNA"}, {"name": "actin"}],
        crop__size_px=64,
    )
    assert config["screen"]["axes"] == "CYX" and config["screen"]["tile_size_px"] == 1000
    assert config["screen"]["images"] == "none" and config["crop"]["size_px"] == 64


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"cells__vectors": {"mine": "https://server/mine.npy"}},
         "configuration key cells.vectors.mine: found https://server/mine.npy, expected a file on"),
        ({"cells__vectors": {"mine": "mine.npy"}},
         "configuration key cells.vectors.mine: the file mine.npy is missing; the run reads it"),
        ({"embeddings": None},
         "configuration key embeddings: a value is missing; source is embeddings, which needs "
         "it; set embeddings."),
        ({"cells": None}, "configuration key cells.table: a value is missing"),
        ({"embeddings__dino__spaces": {"pca": "0-2"}},
         "configuration key embeddings.dino.spaces: found unknown key 'pca', expected one of"),
        ({"embeddings__dino__spaces": {"salient": "0-2"}},
         "configuration key embeddings.dino.spaces: found salient, expected salient and "
         "background, or combined, with their columns; name the columns"),
        ({"benchmarks__shortcuts": ["density", "untrained"]},
         "configuration key benchmarks.shortcuts: found untrained, expected some of density, "
         "position, cell_count, because source is embeddings, which has no crops; leave it out."),
        ({"cells__columns__crop": "crops.npy#{row_number}", "screen__channels": [{"name": "DNA"}],
          "crop__size_px": 64, "benchmarks__shortcuts": ["surroundings"]},
         "configuration key benchmarks.shortcuts: found surroundings, expected some of density, "
         "position, cell_count, because source is embeddings, whose crops are for pictures alone; "
         "leave it out."),
        ({"screen__tile_size_px": None, "screen__cut_px": 64},
         "configuration key screen.tile_size_px: a size is missing; screen.cut_px needs it; set "
         "it, in px: [y, x]."),
        ({"cells__columns__crop": "path", "crop__size_px": 64},
         "configuration key screen.channels: a value is missing"),
        ({"embeddings__cellprofiler": {"spaces": {"combined": "x"}}},
         "configuration key models: found 'cellprofiler', expected another name"),
        ({"profiles__compared_models": ["dinov2"]},
         "configuration key profiles.compared_models: found 'dinov2', expected one of models "
         "(dino, mine); choose one of them."),
        ({"source": "archive", "archive__root": "images", "screen__images": "{well}_{tile}.tif",
          "screen__channels": [{"name": "DNA"}], "crop__size_px": 48},
         "configuration key embeddings: found dino, mine, expected nothing, because source is "
         "archive; set source: embeddings, or remove the section."),
    ],
)  # fmt: skip
def test_a_mistake_is_one_sentence(changed, sentence, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "images").mkdir()
    with pytest.raises(WorkflowError) as caught:
        read(**changed)
    assert str(caught.value).startswith(sentence)
