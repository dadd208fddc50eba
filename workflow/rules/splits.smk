"""
Splits: which cells are trained on, validated on, and held out.

INPUTS
    results/{screen}/shards/index.parquet
OUTPUTS
    results/{screen}/shards/splits.parquet                one row per cell, as in the index
"""


rule assign_splits:
    """Decide which cells are trained on, validated on, and held out."""
    input:
        index="results/{screen}/shards/index.parquet",
    output:
        splits="results/{screen}/shards/splits.parquet",
    log:
        "logs/{screen}/assign_splits.log",
    benchmark:
        "benchmarks/{screen}/assign_splits.tsv"
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=growing(4000),
        runtime=growing(60),
    params:
        split=config["split"],
    script:
        "../scripts/assign_splits.py"


rule training_cells:
    """Write what training reads of all cells as numbers, in a file that its processes share."""
    input:
        index="results/{screen}/shards/index.parquet",
        splits="results/{screen}/shards/splits.parquet",
    output:
        cells="results/{screen}/shards/cells.arrow",
    log:
        "logs/{screen}/training_cells.log",
    benchmark:
        "benchmarks/{screen}/training_cells.tsv"
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=growing(4000),
        runtime=growing(60),
    script:
        "../scripts/training_cells.py"
