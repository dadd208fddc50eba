"""Which panels a configuration can draw, what each is given, and who may read the table of them."""

import copy
import subprocess
import sys
from contextlib import nullcontext

import pytest

from mcvae_ops.errors import InputError
from mcvae_ops.workflow.drawn_panels import DrawnPanels
from mcvae_ops.workflow.panel_inputs import benchmark_tables, panel_settings, undrawable
from mcvae_ops.workflow.panels import BENCHMARKS, PANELS, TABLES
from mcvae_ops.workflow.shorthand import in_full
from tests.helpers.configurations import merged, whole

CONFIGURATION = in_full(whole(merged("config")))
QC = {f"figqc{k}" for k in range(1, 7)}
COLUMNS = {"gene": "gene", "mitotic_index": "index"}
TWO, ONE = {"salient": "0-31", "background": "32-63"}, {"combined": "0-63"}


def profiles(columns=COLUMNS, spaces=TWO, guides: dict | None = None) -> dict:
    """Published profiles, with or without what panels ask for."""
    genes = {"table": "map.parquet", "columns": columns, "spaces": spaces}
    tables = {"genes": genes, "guide_significance": guides}
    return {"source": "profiles", "archive.profiles": tables}


# What is missing -> the keys without it, panels that cannot be drawn, tables that cannot be made.
MISSING = {
    "stage": ({"cells": []}, {"fig5b", "fig5c"}, {"mitosis"}),
    "cells": (
        profiles(guides={"table": "guides.parquet"}),
        {"fig3a", "fig3b", "fig4d", "fig4e", *(f"figs{k}" for k in (*range(1, 8), 9)), *QC},
        {"covariates", "features", "guides", "corrections"},
    ),
    "significance": (profiles(), {"fig4a", "fig4b", "fig4c"}, {"functions"}),
    "images": (profiles() | {"screen.images": "none"}, {"fig1"}, set()),
    "features": (
        {"cells": in_full({"cells": {"masks": "{well}_{tile}.tif", "measure": False}})["cells"]},
        {"fig4a", "fig4b", "fig4c", "fig4d", "fig4e"},
        {"functions", "features"},
    ),
    "mitotic_index": (profiles({}), {"fig5a", "fig5b", "fig5c"}, {"mitosis"}),
    "spaces": (profiles(spaces=ONE), {"fig5a", "fig5b", "fig5c"}, {"mitosis"}),
    "trainings": (
        {"source": "embeddings", "embeddings": {"mcvae": {"spaces": ONE, "trained": True}}},
        {"fig1", "fig2c", *QC},
        {"features"},
    ),
    "truth": ({"source": "archive"}, {"figs6"}, set()),
    "doses": ({}, {"figs7"}, set()),
    "shifts": ({"alignment.measure": {}}, {"figqc1", "figqc2", "figqc3"}, set()),
    "well_grid": ({"screen.well_grid": None}, {"figqc1", "figqc5"}, set()),
    "corrections": ({"profiles.corrections": []}, {"figs2"}, {"corrections"}),
    "corum": (
        {"archive.annotations.corum": None, "archive.annotations.pairs": {"STRING": "x.txt"}},
        {"fig2a", "fig2b", "fig2c", "figs2"},
        {"corrections"},
    ),
    "pairs": (
        {"archive.annotations.corum": None, "archive.annotations.pairs": {}},
        {"fig2a", "fig2b", "fig2c", "figs2"},
        {"complexes", "corrections"},
    ),
    "functional_groups": (
        {"archive.annotations.functional_groups": None},
        {"fig4a", "fig4b", "fig4c", "fig4d", "fig4e"},
        {"functions", "features"},
    ),
    "mitotic_factors": (
        {"archive.annotations.mitotic_factors": None}, {"fig5a", "fig5b", "fig5c"}, {"mitosis"},
    ),
}  # fmt: skip


def changed(keys: dict) -> dict:
    config = copy.deepcopy(CONFIGURATION)
    for key, value in keys.items():
        *parents, last = key.split(".")
        section = config
        for parent in parents:
            section = section[parent]
        section[last] = value
    return config


@pytest.mark.parametrize("need", MISSING)
def test_what_a_run_lacks_leaves_out_what_needs_it(need):
    keys, panels, tables = MISSING[need]
    config = changed(keys)
    # A panel or a benchmark that is added may lack the same.
    assert set(undrawable(config)) >= panels
    assert set(BENCHMARKS) - set(benchmark_tables(config)) >= tables


def test_every_need_is_one_of_these():
    assert {need for entry in (*PANELS.values(), *TABLES.values()) for need in entry.needs} == set(
        MISSING
    )


def test_all_means_every_panel_that_can_be_drawn():
    everything = {"figures.panels": "all", "benchmarks.doses.pattern": "x"}
    assert DrawnPanels(changed(everything), []).drawn == list(PANELS)
    panels = DrawnPanels(changed({"figures.panels": "all", "alignment.measure": {}}), [])
    assert panels.drawn == [panel for panel in PANELS if panel not in panels.left_out]
    assert set(panels.left_out) >= MISSING["shifts"][1]
    listed = changed({"figures.panels": ["figqc1", "fig2a"], "alignment.measure": {}})
    panels = DrawnPanels(listed, [])
    assert (panels.drawn, set(panels.left_out)) == (["fig2a"], {"figqc1"})


@pytest.mark.parametrize(
    ("argument", "sentence"),
    [
        ("fig2d", "fig2d: found no panel of the name fig2d, .*; write fig2a or fig2b or fig2c"),
        ("results/a/figures/Fig2A.pdf", "found no panel of the name Fig2A, .* write fig2a instead"),
        ("fig3", "write fig3a or fig3b instead"),
        ("figqc1.png", "a panel that cannot be drawn because alignment.measure"),
        ("fig_of_mine", "found no panel of the name fig_of_mine, .*; correct the name"),
        *((other, None) for other in ("fig2a", "results/a/figures/fig1.svg", "all",
                                      "config/figures.yaml", "results/figs/report.html")),
    ],
)  # fmt: skip
def test_panels_that_are_asked_for_are_there(argument, sentence):
    panels = DrawnPanels(changed({"alignment.measure": {}}), [])
    with pytest.raises(InputError, match=sentence) if sentence else nullcontext():
        panels.check_asked([argument])


def test_a_learning_rate_draws_no_panel_again_and_a_network_those_that_show_it():
    for key, redrawn in (
        ("training.learning_rate", set()),
        ("training.network", {"fig1"}),
        ("models.mcvae.prior_z_per_label", {"fig1", "fig2a", "fig2c"}),
        ("profiles.compared_models", set(PANELS)),
        ("screen.words", set(PANELS)),
    ):
        other = changed({key: "other"})
        differ = {p for p in PANELS if panel_settings(other, p) != panel_settings(CONFIGURATION, p)}
        assert differ == redrawn, key


def test_the_table_is_read_without_the_libraries_that_draw_train_and_schedule():
    program = "import sys, mcvae_ops.workflow.panels; print(*sys.modules)"
    modules = subprocess.check_output([sys.executable, "-c", program], text=True).split()
    assert "mcvae_ops.workflow.panels" in modules
    assert not {"matplotlib", "pandas", "snakemake", "torch"} & set(modules)
