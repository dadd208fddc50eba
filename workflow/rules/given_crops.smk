"""
Given crops: the table of cells says where the crop of each cell is.

INPUTS
    results/{screen}/cells/{plate}.parquet                   one row per cell, and where its crop is
OUTPUTS
    results/{screen}/crops/{plate}/{well}/{chunk}.*          crops and their index, NTC apart
    results/{screen}/alignment/{plate}/{well}/{chunk}.parquet  one row per tile and channel
"""


rule gather_crops:
    """Fetch the crops of the cells of one chunk of tiles."""
    input:
        # Not read: gene lists that do not fit the screen are told before any crop is fetched.
        ancient("results/{screen}/annotations/matched.tsv"),
        cells="results/{screen}/cells/{plate}.parquet",
    output:
        ntc="results/{screen}/crops/{plate}/{well}/{chunk}.ntc.npy",
        ntc_index="results/{screen}/crops/{plate}/{well}/{chunk}.ntc.parquet",
        perturbed="results/{screen}/crops/{plate}/{well}/{chunk}.perturbed.npy",
        perturbed_index="results/{screen}/crops/{plate}/{well}/{chunk}.perturbed.parquet",
        alignment_table="results/{screen}/alignment/{plate}/{well}/{chunk}.parquet",
        dropped="results/{screen}/crops/{plate}/{well}/{chunk}.dropped.parquet",
    log:
        "logs/{screen}/gather_crops/{plate}/{well}/{chunk}.log",
    benchmark:
        "benchmarks/{screen}/gather_crops/{plate}/{well}/{chunk}.tsv"
    retries: 3
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=growing(2000),
        runtime=growing(240),
        archive_slots=1,
    params:
        screen=select(
            config["screen"], "tiles", "z_planes", "projection", "axes", "counts"
        )
        | CHANNELS,
        crop=select(config["crop"], "size_px", "tiles_per_chunk", "max_failed_fraction"),
        cache="results/{screen}/archive",
    script:
        "../scripts/gather_crops.py"
