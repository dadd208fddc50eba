from pathlib import Path

from mcvae_ops.workflow.drawn_panels import DrawnPanels
from mcvae_ops.workflow.names import Embeddings, Places
from mcvae_ops.workflow.panel_inputs import benchmark_tables
from mcvae_ops.workflow.places import local_paths
from mcvae_ops.workflow.snakefile import (
    annotation_files,
    check_files,
    growing,
    read_configuration,
    say_left_out,
    say_targets,
    select,
    select_each,
    without,
)

# Of this Snakefile, wherever the run is and whatever Snakefile includes this one.
ROOT = Path(workflow.current_basedir)
DEFAULTS = ROOT / "config/defaults.yaml"
SCHEMA = ROOT / "workflow/schemas/config.schema.yaml"

# Without --configfile, the screen is the simulated one.
if workflow.overwrite_configfiles:
    check_files(workflow.overwrite_configfiles, DEFAULTS, SCHEMA)
else:

    configfile: str(ROOT / "config/config.yaml")


config = read_configuration(config, DEFAULTS, SCHEMA)
PLACES = Places(config)
EMBEDDINGS = Embeddings(config)
PANELS = DrawnPanels(config, EMBEDDINGS.shown_trainings)
say_left_out(PANELS)
# workflow/report/figure.rst reads them here: a new word in a param would draw a figure again.
config["captions"] = PANELS.captions

LEVEL = config["benchmarks"]["functions"]["level"] + "s"
FROM_CELLS = config["source"] != "profiles"
# What only pictures show of a channel, such as its colour, is no reason to crop again.
CHANNELS = {
    "channels": select_each(config["screen"]["channels"], "name", "group", "index")
}
# Of the grid; where its centre ends matters to the benchmarks alone.
GRID = {"well_grid": select(config["screen"]["well_grid"], "column_heights")}


wildcard_constraints:
    screen=config["screen"]["name"],
    plate="[^/]+",
    well="[^/]+",
    chunk=r"\d+",
    model="[a-z][a-z0-9_]*",
    seed=r"\d+",


rule all:
    """The report, and with it every figure, its data, the claims, the explorer and the exports."""
    input:
        statistics=branch(
            FROM_CELLS,
            then=f"results/{config['screen']['name']}/shards/statistics.parquet",
        ),
        report=f"results/{config['screen']['name']}/report.html",
        exports=branch(
            FROM_CELLS,
            then=expand(
                f"results/{config['screen']['name']}/profiles/{EMBEDDINGS.main}/{{level}}.h5ad",
                level=["guides", "genes"],
            ),
        ),


include: "workflow/rules/annotations.smk"
include: f"workflow/rules/source_{config['source']}.smk"
include: "workflow/rules/benchmarks.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/report.smk"


if config["evaluation"] is not None:

    include: "workflow/rules/evaluation.smk"


# `snakemake` alone says what one can ask for.
say_targets(workflow, config["screen"]["name"])
