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
