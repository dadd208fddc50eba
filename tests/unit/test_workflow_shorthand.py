"""What the file of a screen may leave out comes out in full."""

import copy

import pytest

from mcvae_ops.errors import InputError
from mcvae_ops.screen import DOSE_OF_GUIDE
from mcvae_ops.workflow.drawn_panels import DrawnPanels
from mcvae_ops.workflow.names import Embeddings
from mcvae_ops.workflow.shorthand import COLOURS, in_full
from tests.helpers.configurations import checked, merged, whole

CHANNELS = [{"name": "dna"}, {"name": "actin", "group": "w2", "colour": "#ffffff"}]
SCREEN = {"plates": {"P": "A1-B2"}, "images": "{well}_{tile}_{channel}.tif", "channels": CHANNELS}


def full(**screen):
    return in_full({"screen": SCREEN | screen, "alignment": {"measure": {}}})


def test_plates_channels_and_reference_in_full():
    config = full()
    assert config["screen"]["plates"] == {"P": ["A1", "A2", "B1", "B2"]}
    assert config["screen"]["channels"] == [
        {"name": "dna", "stain": "", "group": "dna", "index": None, "colour": COLOURS[0]},
        {"name": "actin", "stain": "", "group": "w2", "index": None, "colour": "#ffffff"},
    ]
    assert config["alignment"] == {"reference": "dna", "measure": {}}


def test_one_file_holds_all_channels_where_the_address_names_none():
    channels = full(images="{plate}.zarr")["screen"]["channels"]
    assert [channel["group"] for channel in channels] == ["image", "w2"]


@pytest.mark.parametrize("section", ["cells", "labels"])
def test_doses_that_tables_name_are_read_without_a_pattern(section):
    config = in_full(whole(merged("bbbc021")))
    assert config["benchmarks"]["doses"]["pattern"] == DOSE_OF_GUIDE
    assert "figs7" in DrawnPanels(config, []).drawn
    named = {section: {"table": "t.csv", "columns": {"dose": "um"}}}
    for given, expected in ((None, DOSE_OF_GUIDE), ("x(.)", "x(.)")):
        doses = {"benchmarks": {"doses": {"pattern": given}}}
        assert in_full(named | doses)["benchmarks"]["doses"]["pattern"] == expected
    assert in_full(named)[section][0]["columns"] == {"dose": "um"}


@pytest.mark.parametrize(
    ("size", "cut", "tiles"),
    [(256, 128, "0-3"), ([320, 360], 128, "0-8"), ([100, 100], 128, "0-0")],
)
def test_tiles_of_stitched_wells_follow_from_their_size(size, cut, tiles):
    assert full(tile_size_px=size, cut_px=cut)["screen"]["tiles"] == tiles


def test_a_screen_of_images_has_one_tile_unless_some_are_named():
    assert full(tiles=None)["screen"]["tiles"] == "0"
    assert full(tiles="1-3")["screen"]["tiles"] == "1-3"


@pytest.mark.parametrize(
    "screen",
    [{"plates": None}, {"plates": {"P": 3}}, {"channels": None}, {"channels": ["dna"]},
     {"channels": []}, {"images": 3}],
)  # fmt: skip
def test_what_is_of_a_wrong_kind_is_left_to_the_schema(screen):
    full(**screen)
    in_full({"screen": None})
    in_full({"screen": SCREEN, "alignment": None})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"plates": {"P": ["A1", "A01"]}}, r"screen\.plates\.P: well A01 is defined twice"),
        ({"plates": {"P": "B2-A1"}}, "expected a rectangle of wells"),
        ({"images": "{plate}/{well}.tif"}, r"without \{tile\}, expected"),
        ({"images": "{plate}/{site}.tif"}, r"found \{site\}"),
        ({"tile_size_px": [64, 64, 64]}, r"tile_size_px"),
        ({"axes": "XYC"}, r"screen\.axes"),
        ({"path_pattern": "x"}, "old name of this key, expected images"),
    ],
)
def test_mistakes_are_one_sentence_before_the_first_job(change, said):
    config = copy.deepcopy(merged("config"))
    config["screen"] |= change
    with pytest.raises(InputError, match=said):
        checked(config)


def test_channels_of_their_own_files_need_a_word_on_their_register():
    config = copy.deepcopy(merged("config"))
    config["alignment"]["measure"] = {}
    said = r"a way from A594 to the reference DAPI is missing.*alignment\.in_register"
    with pytest.raises(InputError, match=said):
        checked(config)
    config["alignment"]["in_register"] = "all"
    checked(config)
    config["alignment"]["in_register"] = ["A594", "AF75"]
    with pytest.raises(InputError, match="channel 'AF75'"):
        checked(config)


def map_of_genes(tmp_path) -> dict:
    """The example of docs/own_screen.md, for a table that is there."""
    here = tmp_path / "map.csv"
    here.write_text("gene,PC_1\nA,1\n")
    genes = {"table": str(here), "spaces": {"combined": "PC_*"}}
    return {
        "source": "profiles", "screen": {"name": "map", "control": "NT"},
        "archive": {"profiles": {"genes": genes, "guide_significance": None}},
        "profiles": {"main_model": "my_map"},
    }  # fmt: skip


def test_published_profiles_are_one_given_model_beside_random_ones(tmp_path):
    config = checked(map_of_genes(tmp_path))
    names = Embeddings(config)
    assert names.all == names.shown == {"model": ["my_map", "random"], "seed": [0, 0]}
    assert names.trained == {"model": [], "seed": []} and list(config["models"]) == ["my_map"]
    kinds = {name: of["kind"] for name, of in names.kinds.items()}
    assert kinds == {"my_map": "given", "random": "shortcut"}
    paper = in_full(whole(merged("published")))
    assert Embeddings(paper).main == "mcvae/0" and list(paper["models"]) == ["mcvae"]


@pytest.mark.parametrize(
    ("names", "genes", "said"),
    [
        ({}, {}, "found 'mcvae', a model that a run trains, expected a name"),
        ({"main_model": "random"}, {}, "random"),
        ({"main_model": "my_map", "compared_models": ["cvae"]}, {}, "found 'cvae'"),
        ({"main_model": "my_map"}, {"spaces": {"salient": "PC_*"}}, "found salient, expected"),
    ],
)
def test_what_is_wrong_with_published_profiles_is_told_before_any_job(tmp_path, names, genes, said):
    config = map_of_genes(tmp_path) | {"profiles": names}
    config["archive"]["profiles"]["genes"] |= genes
    with pytest.raises(InputError, match=said):
        checked(config)


def test_published_profiles_need_no_images(tmp_path):
    here = tmp_path / "map.csv"
    here.write_text("gene,PC_1\nA,1\n")
    complexes = tmp_path / "complexes.tsv"
    complexes.write_text("complex\tgenes\nX\tA;B\n")
    genes = {"table": str(here), "spaces": {"combined": "PC_*"}}
    config = checked({
        "source": "profiles", "screen": {"name": "map", "control": "NT"},
        "archive": {"profiles": {"genes": genes}, "annotations": {"corum": str(complexes)}},
        "models": dict.fromkeys(("vae", "cvae", "cvae_prior_s", "cvae_prior_z")),
    })  # fmt: skip
    assert config["archive"]["profiles"]["guide_significance"] is None
    assert "fig1" not in DrawnPanels(config, []).drawn
    assert "fig2b" in DrawnPanels(config, []).drawn
