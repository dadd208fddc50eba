"""What the workflow plans to do, without doing it."""

import time

import pytest
import yaml

from tests.conftest import ROOT
from tests.workflow.runs import jobs, snakemake, tiny_configuration, write_configuration


def test_default_plans_every_stage(tmp_path):
    write_configuration(yaml.safe_load((ROOT / "config/config.yaml").read_text()), tmp_path)
    planned = jobs(tmp_path)
    assert planned["draw_figure"] == 14
    assert planned["train_model"] == 5
    assert planned["crop_chunk"] == 8
    assert planned["aggregate_profiles"] == 7


def test_one_figure_needs_only_its_chain(tmp_path):
    write_configuration(yaml.safe_load((ROOT / "config/config.yaml").read_text()), tmp_path)
    planned = jobs(tmp_path, "results/simulated/figures/fig3b.pdf")
    assert planned["draw_figure"] == 1
    assert planned["train_model"] == 1
    assert "complexes" not in planned


def test_commercial_use_leaves_the_panels_of_complexes_out_and_says_so(tmp_path):
    config = tiny_configuration() | {"commercial_use": True}
    write_configuration(config, tmp_path)
    kept = [p for p in config["figures"]["panels"] if not p.startswith("fig2")]
    assert jobs(tmp_path)["draw_figure"] == len(kept)
    assert "left out of this run are its complexes and fig2a" in snakemake(tmp_path, "-n").stdout


@pytest.mark.parametrize(("name", "chunks"), [("funk2022", 714), ("funk2022_pilot", 8)])
def test_real_study_is_planned_from_its_real_manifest(name, chunks, shared, tmp_path):
    config = yaml.safe_load((ROOT / f"config/{name}.yaml").read_text())
    config["archive"]["files"] = str(shared / "data/archive/s-biad394_six_plates.parquet")
    for key in ("functional_groups", "mitotic_factors"):
        relative = config["archive"]["annotations"][key].removeprefix("../shared/")
        config["archive"]["annotations"][key] = str(shared / relative)
    write_configuration(config, tmp_path)
    started_s = time.monotonic()
    planned = jobs(tmp_path)
    assert time.monotonic() - started_s < 10
    assert planned["crop_chunk"] == chunks
    assert planned["total"] < 2000


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda c: c["crop"].update(sise_px=3), "unknown key 'sise_px'"),
        (lambda c: c["training"].update(epochs="ten"), "found 'ten', expected integer"),
        (lambda c: c["alignment"].update(reference="DAPPI"), "channel 'DAPPI'"),
        (lambda c: c.update(source="archive"), "which does not exist"),
    ],
    ids=["unknown key", "wrong type", "channel", "missing file"],
)
def test_wrong_configuration_stops_before_the_first_job(change, sentence, tmp_path):
    config = tiny_configuration()
    change(config)
    write_configuration(config, tmp_path)
    done = snakemake(tmp_path, "--dry-run", "--quiet", "rules")
    assert done.returncode != 0
    assert sentence in done.stdout
    assert "Traceback" not in done.stdout
