"""The likeliest mistakes: each ends in one sentence that says where, what, and the way out."""

import errno
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import tifffile
import torch
import yaml
from scipy.ndimage import gaussian_filter
from snakemake.exceptions import WorkflowError
from snakemake.settings.types import DeploymentMethod

from mcvae_ops.archive import plan as plans
from mcvae_ops.archive.image_files import list_files
from mcvae_ops.benchmarks.estimates.functional_groups import genes_of_group
from mcvae_ops.cells.cell_tables import split_cells
from mcvae_ops.cells.table_parts import list_feature_parts
from mcvae_ops.errors import InputError
from mcvae_ops.files import write_text
from mcvae_ops.screen import channels_from, plain_columns
from mcvae_ops.simulate.library import simulate_library
from mcvae_ops.simulate.render import stains_of
from mcvae_ops.simulate.study import dataset_of, list_folder, study_of
from mcvae_ops.tiles.chunk import crop_chunk
from mcvae_ops.tiles.consensus import plate_shifts
from mcvae_ops.tiles.shifts import resolve_chain
from mcvae_ops.training.prepare import choose_device
from mcvae_ops.workflow.job import run
from mcvae_ops.workflow.panels import PANELS
from mcvae_ops.workflow.shorthand import in_full
from mcvae_ops.workflow.snakefile import check_container, read_configuration
from tests.conftest import ROOT
from tests.helpers.configurations import DEFAULTS, SCHEMA, as_file, merged, whole
from tests.helpers.runs import (
    command,
    environment,
    snakemake,
    tiny_configuration,
    write_configuration,
)


def put(key: str, value) -> Callable[[dict], None]:
    """Return what sets one key of a configuration."""

    def change(config: dict) -> None:
        *parents, last = key.split(".")
        for parent in parents:
            config = config[parent]
        config[last] = value

    return change


def put_column(name: str, column: str) -> Callable[[dict], None]:
    return lambda config: config["cells"][0]["columns"].update({name: column})


def drop(key: str) -> Callable[[dict], None]:
    def change(config: dict) -> None:
        *parents, last = key.split(".")
        for parent in parents:
            config = config[parent]
        del config[last]

    return change


def name_twice(config: dict) -> None:
    config["screen"]["channels"][1]["name"] = "A594"


IN_CONFIGURATION = {
    "missing key": (
        drop("screen.control"),
        "configuration key screen.control: a value is missing; this key has no default; set it in "
        "the file of the screen, which comes first after --configfile (see config/README.md).",
    ),
    "missing key of a model": (
        put("models.mine", {"salient_latent": 8}),
        "configuration key models.mine.background_latent: a value is missing; this key has no "
        "default; set it in the file of the screen, which comes first after --configfile (see "
        "config/README.md).",
    ),
    "old name": (
        put("training.symmetries", True),
        "configuration key training.symmetries: found the old name of this key, expected "
        "augmentation; rename it.",
    ),
    "old place": (
        put("archive.dataset", "dataset.json"),
        "configuration key archive.dataset: found the old name of this key, expected cells.table; "
        "move it there (see config/README.md).",
    ),
    "old name in a model": (
        put("models.mcvae.training", {"level_batches": True}),
        "configuration key models.mcvae.training.level_batches: found the old name of this key, "
        "expected normalise_batches; rename it.",
    ),
    "unknown key": (
        put("crop.sise_px", 48),
        "configuration key crop: found unknown key 'sise_px', expected one of "
        f"{', '.join(sorted(tiny_configuration()['crop']))}; write 'size_px' instead.",
    ),
    "wrong type": (
        put("training.epochs", "ten"),
        "configuration key training.epochs: found 'ten', expected integer (Passes over the "
        "perturbed training cells); correct the value.",
    ),
    "number out of range": (
        put("crop.clip_fraction", -0.1),
        "configuration key crop.clip_fraction: found -0.1, expected at least 0 (Fraction of the "
        "pixels of each raw image that is clipped at the top, and at the bottom); "
        "correct the value.",
    ),
    "no seed": (
        put("training.seeds", []),
        "configuration key training.seeds: found [], expected at least 1 of them (One training "
        "per seed and model); correct the value.",
    ),
    "study that is not there": (
        lambda config: (
            put("source", "archive")(config),
            put("archive.root", "biostudies:no.json")(config),
        ),
        "configuration key archive.root: the file no.json is missing; the run reads it; place it "
        "there, or set another path or an https address.",
    ),
    "no study": (
        lambda config: (put("source", "archive")(config), put("archive.root", None)(config)),
        "configuration key archive.root: a value is missing; source is archive, which needs it; "
        "set archive.root.",
    ),
    "no folder of published values": (
        put("figures.published_values", "numbers"),
        "configuration key figures.published_values: found numbers, which holds no file such as "
        "fig4b_confusion.tsv, expected a folder with the paper's numbers, or null; correct it.",
    ),
    "channel of the alignment": (
        put("alignment.measure", {"A594": "DAPY", "AF750": "GFP"}),
        "configuration key alignment.measure: found channel 'DAPY', expected a channel of the "
        "screen (A594, AF750, DAPI, GFP); correct its name, or drop the entry with null.",
    ),
    "reference channel": (
        put("alignment.reference", "Hoechst"),
        "configuration key alignment.reference: found channel 'Hoechst', expected a channel of "
        "the screen (A594, AF750, DAPI, GFP); correct its name.",
    ),
    "channel twice": (
        name_twice,
        "configuration key screen.channels: A594 is defined twice; correct or remove one of them.",
    ),
    "tiles outside of the well": (
        put("screen.tiles", "0-21"),
        "configuration key screen.tiles: found 21, expected tiles of the well grid (0 to 20); "
        "correct it, or column_heights or first_tile of screen.well_grid.",
    ),
    "crop larger than a tile": (
        put("crop.size_px", 400),
        "configuration key crop.size_px: found 400, expected at most the tile size (320 px); "
        "make the crops smaller.",
    ),
    "plate and well of the split": (
        put("split.held_out_wells", ["20260105_6W-SIM001A/A9"]),
        "configuration key split.held_out_wells: found '20260105_6W-SIM001A/A9', expected a "
        "plate/well of screen.plates; correct it.",
    ),
    "unknown panel": (
        put("figures.panels", ["fig2a", "Fig3B"]),
        "configuration key figures.panels: found the unknown panel 'Fig3B', expected all, or a "
        f"list of some of {', '.join(PANELS)}; write fig3b instead.",
    ),
    "panel that is no list": (
        put("figures.panels", "fig2a"),
        "configuration key figures.panels: found 'fig2a', expected text that matches ^all$ (`all` "
        "that can be drawn of this screen, or a list of names); correct the value.",
    ),
    "unknown model": (
        put("profiles.main_model", "mcvea"),
        "configuration key profiles.main_model: found 'mcvea', expected one of models (vae, cvae, "
        "mcvae); choose one of them.",
    ),
    "main model without a salient space": (
        put("profiles.main_model", "vae"),
        "configuration key profiles.main_model: found 'vae', which has no salient latent, "
        "expected a model whose salient_latent is above 0; choose a contrastive model.",
    ),
    "a head without a salient space": (
        put("models.vae.training", {"label_weight": 10.0}),
        "configuration key models.vae: found label_weight 10 and no salient latent, expected a "
        "salient latent, from which the label is predicted; set salient_latent above 0, or "
        "label_weight to 0.",
    ),
    "unknown functional group": (
        put("benchmarks.features.novel_groups", ["tubulins"]),
        "configuration key benchmarks.features.novel_groups: found group 'tubulins', expected "
        "groups of simulate.library.groups (actin & adhesion, chromosome alignment, tubulin, DNA "
        "damage); correct the name or leave it out.",
    ),
    "guides and doses": (
        put("simulate.library.doses_um", [1, 10]),
        "configuration key simulate.library.guides_per_gene: found 2, expected null, because "
        "doses_um is given; correct one of the two.",
    ),
}


@pytest.mark.parametrize("mistake", IN_CONFIGURATION)
def test_a_wrong_configuration_stops_before_the_first_job(mistake):
    change, sentence = IN_CONFIGURATION[mistake]
    config = tiny_configuration()
    assert read_configuration(as_file(config), DEFAULTS, SCHEMA, ROOT)
    change(config)
    with pytest.raises(WorkflowError) as caught:
        read_configuration(as_file(config), DEFAULTS, SCHEMA, ROOT)
    assert str(caught.value) == sentence


@pytest.mark.parametrize(
    ("image", "found"), [(None, "the image is missing"), ("no.sif", "the image no.sif is missing")]
)
def test_jobs_do_not_run_outside_of_a_container_that_was_asked_for(image, found):
    sentence = (
        f"configuration key container: {found}; --sdm apptainer runs the jobs in it; name one that "
        "is there, or leave the option out (docs/containers.md)."
    )
    with pytest.raises(WorkflowError) as caught:
        check_container({"container": image}, {DeploymentMethod.APPTAINER})
    assert str(caught.value) == sentence
    check_container({"container": image}, {DeploymentMethod.CONDA})
    check_container({"container": "docker://server/name:1"}, {DeploymentMethod.APPTAINER})


# --- Mistakes that only the data show ---------------------------------------------------------


def small_study(folder: Path) -> dict:
    """Write an archive of one well, two tiles and 40 cells; return its configuration."""
    rng = np.random.default_rng(0)
    for tile in range(2):
        path = folder / f"Files/P1/A1_{tile}.tif"
        path.parent.mkdir(parents=True, exist_ok=True)
        image = gaussian_filter(rng.normal(0, 20_000, (2, 96, 96)), (0, 1.5, 1.5)) + 20_000
        tifffile.imwrite(path, image.astype(np.uint16), imagej=True, metadata={"axes": "CYX"})
    write_text(json.dumps(study_of("S-1", "small")), folder / "S-1.json")
    write_text(
        json.dumps(list_folder(folder / "Files", folder / "Files")), folder / "Files/S-1.json"
    )
    config = in_full(tiny_configuration())
    columns = plain_columns(config["cells"])
    cells = pd.DataFrame({columns["plate"]: "P1", columns["well"]: "A1"}, index=range(40))
    cells[columns["tile"]] = np.arange(40) % 2
    cells[columns["y_px"]], cells[columns["x_px"]] = rng.uniform(24, 72, (2, 40))
    cells[columns["gene"]] = np.where(np.arange(40) % 4 == 0, "nontargeting", "TP53")
    cells[columns["guide"]] = cells[columns["gene"]] + "-1"
    part = folder / "interphase-cells.parquet/cells.parquet"
    part.parent.mkdir()
    cells.assign(area=1.0).to_parquet(part)
    write_text(json.dumps(dataset_of([part])), folder / "dataset.json")
    channels = config["screen"]["channels"][2:]
    config["screen"] |= {
        "plates": {"P1": ["A1"]}, "tiles": "0-1", "tile_size_px": 96, "z_planes": 1,
        "images": "{plate}/{well}_{tile}.tif", "not_features": [],
        "channels": [channel | {"group": "all", "index": k} for k, channel in enumerate(channels)],
    }  # fmt: skip
    config["alignment"]["measure"] = {}
    config["crop"] |= {"size_px": 24, "tiles_per_chunk": 2}
    config["archive"]["root"] = f"biostudies:{folder}/S-1.json"
    config["cells"][0]["table"] = f"{folder}/dataset.json/{{stage}}-{{*}}"
    return config


def crop(config: dict, folder: Path) -> None:
    """Take the small study from archive to crops, as the rules do."""
    screen, archive = config["screen"], config["archive"]
    out = {
        name: str(folder / f"{name}.parquet")
        for name in ("files", "parts", "consensus", "checks", "overlay", "alignment", "dropped")
    }
    list_files(archive, screen, out["files"], str(folder / "left_out.tsv"))
    list_feature_parts(config["cells"], config["labels"], screen, archive, out["parts"])
    ((plate, wells),) = screen["plates"].items()
    cells, features = ([str(folder / kind / f"{plate}.parquet")] for kind in ("cells", "features"))
    split_cells(
        out["parts"], config["cells"], config["labels"], screen, archive, str(folder / "cache"),
        cells, features, str(folder / "features.tsv"), str(folder / "rows.tsv"),
    )  # fmt: skip
    plate_shifts(
        out["files"], screen, config["alignment"], archive, plate, str(folder / "cache"),
        out["consensus"], out["checks"], out["overlay"],
    )  # fmt: skip
    arms = {
        f"{arm}{kind}": str(folder / f"{arm}{suffix}")
        for arm in ("ntc", "perturbed")
        for kind, suffix in (("", ".npy"), ("_index", ".parquet"))
    }
    crop_chunk(
        out["files"], cells[0], out["consensus"], None, screen, config["alignment"], config["crop"],
        archive, plate, wells[0], "000", str(folder / "cache"), **arms,
        alignment_table=out["alignment"], dropped=out["dropped"],
    )  # fmt: skip


IN_DATA = {
    "path pattern that matches nothing": (
        put("screen.images", "{plate}_{well}_{tile}.tif"),
        "biostudies:{folder}/S-1.json: found no image of the screen (2 path does not match), as "
        "P1/A1_0.tif, expected paths like {{plate}}_{{well}}_{{tile}}.tif; correct screen.images "
        "or screen.plates.",
    ),
    "path pattern without a field": (
        put("screen.images", "{plate}/A1.tif"),
        "configuration key screen.images: found {{plate}}/A1.tif, without {{tile}}, expected "
        "{{tile}}, because the screen has several; add the field.",
    ),
    "wrong plate": (
        put("screen.plates", {"P2": ["A1"]}),
        "biostudies:{folder}/S-1.json: found no image of the screen (2 another plate), as "
        "P1/A1_0.tif, expected paths like {{plate}}/{{well}}_{{tile}}.tif; correct screen.images "
        "or screen.plates.",
    ),
    "wrong well": (
        put("screen.plates", {"P1": ["A1", "A2"]}),
        "biostudies:{folder}/S-1.json: found no file of well A2 of plate P1, expected files of "
        "every well of the screen; correct screen.images or screen.plates.",
    ),
    "column that is not in the table": (
        put_column("guide", "sgRNA"),
        "table interphase-cells.parquet/cells.parquet: column 'sgRNA' is missing; "
        "cells.columns.guide names it, and the columns are sgRNA_0, plate, well, tile, cell_i, "
        "cell_j, gene_symbol_0, area; correct cells.columns.guide or replace the table.",
    ),
    "control that labels no cell": (
        put("screen.control", "NTC"),
        "configuration key screen.control: found 'NTC', which labels no cell, expected a "
        "gene of the tables of cells (the most common are 'TP53', 'nontargeting'); correct "
        "screen.control or cells.columns.gene.",
    ),
    "no cell left": (
        lambda config: (
            put_column("plate", "sgRNA_0")(config),
            put("screen.not_features", ["plate"])(config),
        ),
        "the tables of cells: every cell of the screen is missing; the configuration names its "
        "plates, wells and tiles (0-1), and the tables have cells of TP53-1/A01, "
        "nontargeting-1/A01 (40 of other plates or wells); correct screen.plates, screen.tiles or "
        "cells.columns.",
    ),
    "tiles of another size": (
        put("screen.tile_size_px", 128),
        "plate P1: found 2 of 2 tiles unusable (tile 0 of A1: A1_0.tif: axes CYX (2, 96, 96) where "
        "1 focal planes (Z) of 128 x 128 px (Y, X) and channels (C) are expected), expected tiles "
        "as the section screen describes them; correct screen.tile_size_px, z_planes or channels, "
        "or replace the files.",
    ),
    "channel that the file does not hold": (
        lambda config: config["screen"]["channels"][1].update(index=4),
        "plate P1: found 2 of 2 tiles unusable (tile 0 of A1: A1_0.tif: 2 channels, none at index "
        "4), expected tiles as the section screen describes them; correct screen.tile_size_px, "
        "z_planes or channels, or replace the files.",
    ),
}


def test_the_small_study_has_no_mistake(tmp_path):
    crop(small_study(tmp_path), tmp_path)
    assert len(np.load(tmp_path / "perturbed.npy")) == 30


@pytest.mark.parametrize("mistake", IN_DATA)
def test_data_that_do_not_fit_end_in_one_sentence(mistake, tmp_path):
    change, sentence = IN_DATA[mistake]
    config = small_study(tmp_path)
    change(config)
    with pytest.raises(InputError) as caught:
        crop(config, tmp_path)
    assert str(caught.value) == sentence.format(folder=tmp_path)


def test_no_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError) as caught:
        choose_device("cuda")
    assert str(caught.value) == (
        "configuration key training.device: found 'cuda', but PyTorch has no GPU here, expected "
        "a GPU with its driver; set it to auto or cpu, or run the job on a node with a GPU."
    )
    assert choose_device("auto").type == "cpu"


def test_a_disk_that_is_too_small_is_said_before_the_run(tmp_path, monkeypatch):
    config = small_study(tmp_path)
    crop(config, tmp_path)
    monkeypatch.setattr(plans, "_free_bytes", lambda folder: 1)
    with pytest.raises(InputError) as caught:
        plans.plan(
            str(tmp_path / "files.parquet"), str(tmp_path / "left_out.tsv"),
            str(tmp_path / "parts.parquet"), config, str(tmp_path / "results"),
            str(tmp_path / "timings"),
        )  # fmt: skip
    assert str(caught.value) == (
        f"the disk of {tmp_path}/results: found 0.0 GB free, expected 0.0 GB; free some, run in a "
        "larger folder (snakemake --directory), or take fewer screen.plates or screen.tiles."
    )


NOTHING = {section: {} for section in ("input", "output", "params", "wildcards", "resources")}


def ended(error: Exception, folder: Path) -> str:
    """Return what a job logs that ends with an error."""

    def fail() -> None:
        raise error

    log = folder / "job.log"
    with pytest.raises(SystemExit):
        run(fail, SimpleNamespace(log=[log], rule="crop", threads=1, **NOTHING))
    return log.read_text()


def test_a_disk_that_is_full_ends_a_job_in_one_sentence(tmp_path):
    full = OSError(errno.ENOSPC, "No space left on device", "/data/crops/000.npy")
    log = ended(full, tmp_path)
    assert log.endswith(
        "/data/crops/000.npy: No space left on device; free some space, or run elsewhere "
        "(snakemake --directory).\n"
    )
    assert "Traceback" not in log


def test_a_group_that_no_list_holds():
    groups = pd.DataFrame({"gene": ["TUBB", "ACTB"], "group": ["tubulin", "actin"]})
    with pytest.raises(InputError) as caught:
        genes_of_group("Tubulin", groups)
    assert str(caught.value) == (
        "configuration keys benchmarks.features.shifting_groups and novel_groups: found group "
        "'Tubulin', expected one of actin, tubulin; correct the name of the group."
    )


def test_a_channel_without_a_way_to_the_reference():
    config = whole(merged("config"))
    alignment = config["alignment"] | {"measure": {"A594": "DAPI"}}
    with pytest.raises(InputError) as caught:
        resolve_chain(channels_from(config["screen"]["channels"]), alignment)
    assert str(caught.value) == (
        "configuration key alignment.measure: a way from AF750 to the reference DAPI is missing; "
        "a channel is either measured against another one, or recorded in one file with an "
        "aligned one, or in register; add AF750: DAPI, or name it in alignment.in_register if one "
        "camera recorded both."
    )


def test_a_stain_that_cannot_be_drawn():
    config = tiny_configuration()
    config["screen"]["channels"][0]["stain"] = "Hoechst"
    with pytest.raises(InputError) as caught:
        stains_of(channels_from(config["screen"]["channels"]))
    assert str(caught.value).startswith(
        "configuration key screen.channels, A594: found stain 'Hoechst', expected one of DNA, "
        "Hoechst 33342, "
    )


# --- What the user sees of it -----------------------------------------------------------------


def test_a_wrong_configuration_on_the_terminal(tmp_path):
    config = tiny_configuration()
    change, sentence = IN_CONFIGURATION["crop larger than a tile"]
    change(config)
    write_configuration(config, tmp_path)
    seen = snakemake(tmp_path, "--cores", "1")
    assert seen.returncode != 0
    assert sentence in seen.stdout.splitlines()
    assert "Traceback" not in seen.stdout


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "training: {epochs: 3}",
            "configuration key source: a value is missing; this key has no default; set it in the "
            "file of the screen, which comes first after --configfile (see config/README.md).",
        ),
        (
            "models: {vea: null}",
            "configuration key models.vea: found null, which drops nothing, expected the name of "
            "an entry below (vae, cvae, cvae_prior_s, cvae_prior_z, mcvae); correct the name, or "
            "leave it out.",
        ),
    ],
)
def test_an_overlay_without_its_screen_or_with_a_wrong_name(text, sentence, tmp_path):
    (tmp_path / "config.yaml").write_text(text)
    seen = snakemake(tmp_path, "--dry-run")
    assert seen.returncode != 0
    assert sentence in seen.stdout.splitlines()
    assert "Traceback" not in seen.stdout


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ["--configfile", "nope.yaml"],
            "--configfile nope.yaml: the file is missing; it was looked for at ",
        ),
        (
            ["--config", "training.epochs=3"],
            "--config training.epochs=3: found a key with dots, expected the first key alone; "
            "write --config training='{epochs: 3}'.",
        ),
        (
            ["--config", "training={epochs: many}"],
            "configuration key training.epochs: found 'many', expected integer ",
        ),
    ],
)
def test_a_mistake_of_the_command_line_on_the_terminal(arguments, sentence, tmp_path):
    seen = snakemake(tmp_path, "--cores", "1", *arguments)
    assert seen.returncode != 0
    assert seen.stdout.splitlines()[-1].startswith(sentence)
    assert "Traceback" not in seen.stdout


def test_a_mistake_in_another_folder_than_the_command_is_said_as_it_is(tmp_path):
    config = tiny_configuration()
    config["training"]["epochs"] = "many"
    path = write_configuration(config, tmp_path).relative_to(tmp_path.parent)
    arguments = command(tmp_path, "--cores", "1")
    arguments[arguments.index("--configfile") + 1] = str(path)
    seen = subprocess.run(
        arguments, cwd=tmp_path.parent, env=environment(),
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    assert "key training.epochs: found 'many', expected integer" in seen.stdout.splitlines()[-1]


def test_one_key_of_a_section_on_the_command_line(tmp_path):
    write_configuration(tiny_configuration(), tmp_path)
    file = "results/tiny/configuration.yaml"
    made = snakemake(tmp_path, "--cores", "1", file, "--config", "training={epochs: 3}")
    assert made.returncode == 0, made.stdout
    training = yaml.safe_load((tmp_path / file).read_text())["training"]
    assert training == tiny_configuration()["training"] | {"epochs": 3}


def test_a_job_that_fails_on_the_terminal(tmp_path):
    study = tmp_path / "archive"
    config = small_study(study)
    config["source"] = "archive"
    config["archive"]["annotations"] |= {
        "corum": None, "functional_groups": None, "mitotic_factors": None,
    }  # fmt: skip
    config["figures"]["panels"] = ["fig1", "fig3b"]
    change, sentence = IN_DATA["path pattern that matches nothing"]
    change(config)
    write_configuration(config, tmp_path)
    target = "results/tiny/manifest/files.parquet"
    seen = snakemake(tmp_path, target, "--cores", "1", "--retries", "0").stdout
    assert "Traceback" not in seen
    last = [line for line in seen.splitlines() if " mcvae_ops." in line][-1]
    assert last.endswith(sentence.format(folder=study))
    # After it, nothing but Snakemake's own lines.
    assert seen.split(last)[1].lstrip("\n").startswith("=" * 20)


def test_lists_of_mouse_symbols_end_the_run_before_any_tile(tmp_path):
    config = tiny_configuration()
    names = ("library", "gene_ids", "corum", "functional_groups", "mitotic_factors", "truth")
    drawn = {name: str(tmp_path / name) for name in names}
    simulate_library(simulate=config["simulate"], screen=config["screen"], **drawn)
    for name in ("functional_groups", "mitotic_factors"):
        table = pd.read_csv(drawn[name], sep="\t")
        table.assign(gene=table["gene"].str.capitalize()).to_csv(drawn[name], sep="\t", index=False)
        config["archive"]["annotations"][name] = drawn[name]
    write_configuration(config, tmp_path)
    seen = snakemake(tmp_path, "--cores", "1", "--retries", "0").stdout
    errors = [line for line in seen.splitlines() if " mcvae_ops.workflow.job: " in line]
    assert "Traceback" not in seen
    assert (
        errors[-1]
        .split("job: ")[1]
        .startswith(
            "configuration key archive.annotations.functional_groups, "
            "archive.annotations.mitotic_factors: found none of"
        )
    )
    assert "mouse symbols?" in errors[-1]
    for later in ("study/Files", "manifest", "alignment", "crops"):
        assert not (tmp_path / "results/tiny" / later).exists()


def test_another_screen_leaves_the_results_of_the_first_alone(tmp_path):
    config = tiny_configuration()
    write_configuration(config, tmp_path)
    first = snakemake(tmp_path, "results/tiny/study/library.csv", "--cores", "1")
    assert first.returncode == 0, first.stdout
    files = [path for path in (tmp_path / "results/tiny").rglob("*") if path.is_file()]
    before = {path: path.read_bytes() for path in files}
    config["screen"]["name"] = "other"
    config["simulate"]["seed"] = 7
    write_configuration(config, tmp_path)
    refused = snakemake(tmp_path, "results/tiny/study/library.csv", "--cores", "1", "--forceall")
    assert "No rule to produce results/tiny/study/library.csv" in refused.stdout
    assert {path: path.read_bytes() for path in before} == before


def test_a_mistake_is_not_tried_again(tmp_path):
    config = small_study(tmp_path)
    put("screen.plates", {"P2": ["A1"]})(config)
    config["source"] = "archive"
    # Lists of a simulated screen are made by its run, and there is none.
    lists = dict.fromkeys(config["archive"]["annotations"])
    config["archive"]["annotations"] = lists | {"pairs": {}}
    write_configuration(config, tmp_path)
    manifest = "results/tiny/manifest/files.parquet"
    done = snakemake(tmp_path, manifest)
    assert done.returncode == 1 and done.stdout.count("Trying to restart job") == 3, done.stdout
    log = tmp_path / "logs/tiny/list_files.log"
    # The last attempt has read no configuration and no study, and says what the first one did.
    (line,) = log.read_text().splitlines()
    assert line.endswith("correct screen.images or screen.plates.")
    config["screen"]["plates"] = {"P1": ["A1"]}
    write_configuration(config, tmp_path)
    done = snakemake(tmp_path, manifest)
    assert done.returncode == 0, done.stdout
    assert not log.with_name("list_files.log.mistake").exists()
    ledger = (tmp_path / "checksums/tiny/list_files.sha256").read_text()
    assert manifest in ledger and "left_out.tsv" in ledger
    assert snakemake(tmp_path, "verify").returncode == 0
    path = tmp_path / manifest
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    done = snakemake(tmp_path, "verify")
    assert done.returncode == 1
    assert f"{manifest} is not what rule list_files wrote: delete it" in done.stdout
