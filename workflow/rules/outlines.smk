"""
Outlines of cells on crops, for the shortcut that does not see the cell.

INPUTS
    results/{screen}/manifest/{masks,outlines}.parquet  one row per mask
    results/{screen}/shards/index.parquet               one row per crop
OUTPUTS
    results/{screen}/outlines/{plate}/{well}.parquet    one row per crop: its cell's pixels
"""


rule cut_outlines:
    """Cut the masks of the cells of a well as their crops were cut."""
    input:
        files=f"results/{{screen}}/manifest/{OUTLINES}.parquet",
        index="results/{screen}/shards/index.parquet",
    output:
        outlines="results/{screen}/outlines/{plate}/{well}.parquet",
    log:
        "logs/{screen}/cut_outlines/{plate}/{well}.log",
    benchmark:
        "benchmarks/{screen}/cut_outlines/{plate}/{well}.tsv"
    retries: 3
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=growing(4000),
        runtime=growing(120),
        archive_slots=1,
    params:
        screen=select(config["screen"], "tile_size_px", "cut_px"),
        crop=select(config["crop"], "size_px", "max_failed_fraction"),
        cache="results/{screen}/archive",
    script:
        "../scripts/cut_outlines.py"
