"""
Embeddings that others made: from tables of embedded cells to profiles, without images.

INPUTS
    cells, labels                                        paths or addresses
OUTPUTS
    results/{screen}/shards/index.parquet                one row per cell
    results/{screen}/embeddings/{model}/0.parquet        its vector, as in the index
"""


include: "archive.smk"
include: "splits.smk"
include: "baselines.smk"
include: "profiles.smk"


rule index_cells:
    """List the cells of the screen, which have no crops."""
    input:
        # Not read: gene lists that do not fit the screen are told first.
        ancient("results/{screen}/annotations/matched.tsv"),
        cells=expand(
            "results/{screen}/cells/{plate}.parquet",
            plate=PLACES.plates,
            allow_missing=True,
        ),
    output:
        index="results/{screen}/shards/index.parquet",
    log:
        "logs/{screen}/index_cells.log",
    benchmark:
        "benchmarks/{screen}/index_cells.tsv"
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=growing(4000),
        runtime=growing(60),
    params:
        tiles=(
            None
            if config["screen"]["tiles"] == ALL_TILES
            else tile_numbers(config["screen"]["tiles"])
        ),
        tiles_per_chunk=config["crop"]["tiles_per_chunk"],
        batch=config["screen"]["batch"],
    script:
        "../scripts/index_cells.py"


rule take_embedding:
    """Take one embedding from the numbers of the cells."""
    input:
        index="results/{screen}/shards/index.parquet",
        features=expand(
            "results/{screen}/features/{plate}.parquet",
            plate=PLACES.plates,
            allow_missing=True,
        ),
    output:
        embedding="results/{screen}/embeddings/{model}/0.parquet",
    log:
        "logs/{screen}/take_embedding/{model}.log",
    benchmark:
        "benchmarks/{screen}/take_embedding/{model}.tsv"
    wildcard_constraints:
        model="|".join(config["models"]),
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=growing(8000),
        runtime=growing(60),
    params:
        model_name="{model}",
        spaces=lookup(dpath="embeddings/{model}/spaces", within=config),
    script:
        "../scripts/take_embedding.py"
