"""The embeddings of a finished run, exported as others would, are judged the same again."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from tests.helpers.runs import snakemake, tiny_configuration

LATENT = "^[sz]_"
SPACES = {  # in the order of the models of the tiny run
    "vae": {"combined": "vae_z"},  # an array beside the table
    "cvae": {"salient": "cvae_s_*", "background": "cvae_z_*"},
    "mcvae": {"salient": "mcvae_s_*", "background": "mcvae_z_*"},
}
COPIED = ("crop", "profiles", "benchmarks")
PLACE = ["plate", "well", "tile", "y_px", "x_px"]


@pytest.fixture(scope="module")
def judged(tiny_run, tmp_path_factory) -> Path:
    """Export the cells of the tiny run with their vectors and crops, and judge them once more."""
    folder, results = tmp_path_factory.mktemp("judged"), tiny_run / "results/tiny"
    index = pd.read_parquet(results / "shards/index.parquet")
    names = [*PLACE, "guide", "gene", "cell_cycle_stage", "crop"]
    index["crop"] = written_crops(index, results, folder)
    tables = [index[names], pd.read_parquet(results / "shards/splits.parquet")[["split"]]]
    for model in SPACES:
        vectors = pd.read_parquet(results / f"embeddings/{model}/0.parquet").filter(regex=LATENT)
        tables.append(vectors.add_prefix(f"{model}_"))
    # The order of the rows is others' own.
    cells = pd.concat(tables, axis=1).sample(frac=1, random_state=0)
    for plate, rows in cells.groupby("plate"):
        vectors = rows.filter(regex="^vae_")
        np.save(folder / f"vae_{plate}.npy", vectors)
        rows.drop(columns=vectors.columns).to_parquet(folder / f"{plate}.parquet")
    config = tiny_configuration()
    screen = {name: config["screen"][name]
              for name in ("plates", "tiles", "tile_size_px", "well_grid")}  # fmt: skip
    screen["channels"] = [{"name": channel["name"], "index": k, "colour": channel["colour"]}
                          for k, channel in enumerate(config["screen"]["channels"])]  # fmt: skip
    lists = {name: str(tiny_run / path.replace("{screen}", "tiny"))
             for name, path in config["archive"]["annotations"].items()
             if isinstance(path, str)}  # fmt: skip
    benchmarks = config["benchmarks"]
    benchmarks["functions"]["significance"] = "mcvae"
    written = {
        "source": "embeddings",
        "screen": screen | {"name": "judged", "control": "NTC"},
        "cells": {
            "table": str(folder / "{plate}.parquet"),
            "columns": {"stage": "cell_cycle_stage", "split": "split", "crop": "crop"},
            "vectors": {"vae_z": str(folder / "vae_{plate}.npy")},
        },
        "embeddings": {name: {"spaces": spaces} for name, spaces in SPACES.items()},
        "archive": {"annotations": lists},
    } | {section: config[section] for section in COPIED}
    (folder / "config.yaml").write_text(yaml.safe_dump(written, sort_keys=False))
    done = snakemake(folder, "--cores", "2")
    assert done.returncode == 0, done.stdout[-5000:]
    return folder / "results/judged"


def written_crops(index: pd.DataFrame, results: Path, folder: Path) -> pd.Series:
    """Write all crops into one array, by the place of their cells; return where each is."""
    placed = index.sort_values(PLACE)
    shards = {shard: np.load(results / shard, mmap_mode="r") for shard in set(index["shard"])}
    crops = [shards[shard][row] for shard, row in zip(placed["shard"], placed["row"], strict=True)]
    np.save(folder / "crops.npy", np.stack(crops))
    # Cells with crops are numbered by their names.
    names = [f"{folder}/crops.npy#{k:06d}" for k in range(len(placed))]
    return pd.Series(names, placed.index)


def same_rows(table: str, tiny_run: Path, judged: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read both tables; rows of, or against, models that only the first run has are left out."""
    known = {*SPACES, ""}
    tables = []
    for folder in (tiny_run / "results/tiny", judged):
        rows = pd.read_parquet(folder / f"{table}.parquet")
        if "model" in rows:
            rows = rows[rows["model"].isin(known) & ~rows["item"].isin({"cellprofiler", "random"})]
        tables.append(rows.reset_index(drop=True))
    return tuple(tables)


@pytest.mark.parametrize(
    "table",
    ["hits", *(f"benchmarks/{name}" for name in
               ("complexes", "covariates", "guides", "mitosis", "replicates", "power"))],
)  # fmt: skip
def test_the_numbers_are_the_same(table, tiny_run, judged):
    # But for the order in which some sums are taken.
    pd.testing.assert_frame_equal(*same_rows(table, tiny_run, judged), rtol=1e-12, atol=1e-15)


def test_explorer_and_report_show_the_same_pictures(tiny_run, judged):
    pictures = {
        run: {path.name: path.read_bytes() for path in (run / "explorer").iterdir()}
        for run in (tiny_run / "results/tiny", judged)
    }
    first, again = pictures.values()
    assert first == again and len(again) > 10
    assert not (judged / "crops").exists()  # no crop is stored a second time
    assert "data:image/" in (judged / "report.html").read_text()


def test_the_report_says_what_is_left_out_and_why(judged):
    page = (judged / "report.html").read_text()
    assert "source is embeddings, which has no images" in page
    for panel in ("fig2a", "fig3b", "figs3"):
        assert (judged / f"figures/{panel}.pdf").stat().st_size > 1000
