from mcvae_ops.workflow.job import (
    Names,
    growing,
    local_paths,
    read_configuration,
    say_targets,
    select,
    without,
)

# A file given with --configfile is the whole configuration: merged into the default, it would
# inherit the simulated screen's plates.
if not workflow.overwrite_configfiles:

    configfile: "config/config.yaml"


config = read_configuration(
    config, f"{workflow.basedir}/workflow/schemas/config.schema.yaml"
)
NAMES = Names(config)
# workflow/report/figure.rst reads them here: a new word in a parameter would draw a figure again.
config["captions"] = NAMES.captions
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
            NAMES.from_cells,
            then=f"results/{config['screen']['name']}/shards/statistics.parquet",
        ),
        report=f"results/{config['screen']['name']}/report.html",
        exports=expand(
            f"results/{config['screen']['name']}/profiles/{{profiles}}.h5ad",
            profiles=NAMES.exports,
        ),


include: "workflow/rules/annotations.smk"
include: f"workflow/rules/source_{config['source']}.smk"
include: "workflow/rules/benchmarks.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/report.smk"


# `snakemake` alone says what one can ask for.
say_targets(workflow, config["screen"]["name"])
