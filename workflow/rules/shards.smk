"""
Shards: all crops of the screen as one data set, with its splits and statistics.

INPUTS
    results/{screen}/crops/{plate}/{well}/{chunk}.*.npy   crops
    results/{screen}/alignment/                           how tiles were aligned
OUTPUTS
    results/{screen}/qc/{alignment,dropped,checks,overlays}.parquet  tiles of the whole screen
    results/{screen}/shards/index.parquet                 one row per crop
    results/{screen}/shards/statistics.parquet            one row per batch and channel
    results/{screen}/qc/{cells_per_tile,montage}.parquet  what pictures show of the crops
    results/{screen}/ome_zarr/{plate}/{well}/{chunk}.*    crops for viewers, on demand (target: ome_zarr)
"""


rule summarise_tiles:
    """Gather alignment, dropped cells, checks and pictures of the whole screen."""
    input:
        alignments=expand(
            "results/{screen}/alignment/{plate}/{well}/{chunk}.parquet",
            zip,
            **PLACES.chunks,
            allow_missing=True,
        ),
        dropped=expand(
            "results/{screen}/crops/{plate}/{well}/{chunk}.dropped.parquet",
            zip,
            **PLACES.chunks,
            allow_missing=True,
        ),
        checks=branch(
            FROM_TILES,
            then=expand(
                "results/{screen}/alignment/{plate}.checks.parquet",
                plate=PLACES.plates,
                allow_missing=True,
            ),
        ),
        overlays=branch(
            FROM_TILES,
            then=expand(
                "results/{screen}/alignment/{plate}.overlay.parquet",
                plate=PLACES.plates,
                allow_missing=True,
            ),
        ),
    output:
        alignment_table="results/{screen}/qc/alignment.parquet",
        dropped_table="results/{screen}/qc/dropped.parquet",
        checks_table="results/{screen}/qc/checks.parquet",
        overlays_table="results/{screen}/qc/overlays.parquet",
    log:
        "logs/{screen}/summarise_tiles.log",
    benchmark:
        "benchmarks/{screen}/summarise_tiles.tsv"
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    script:
        "../scripts/summarise_tiles.py"


rule index_shards:
    """Verify the crops of the screen, and list them."""
    input:
        shards=expand(
            "results/{screen}/crops/{plate}/{well}/{chunk}.{arm}.npy",
            zip,
            **PLACES.shards,
            allow_missing=True,
        ),
    output:
        index="results/{screen}/shards/index.parquet",
    log:
        "logs/{screen}/index_shards.log",
    benchmark:
        "benchmarks/{screen}/index_shards.tsv"
    conda:
        "../../envs/cpu.yaml"
    threads: 4
    resources:
        mem_mb=growing(4000),
        runtime=growing(240),
    params:
        root=subpath(output.index, ancestor=2),
        batch=config["screen"]["batch"],
    script:
        "../scripts/index_shards.py"


rule shard_statistics:
    """Mean, spread and percentiles of the control crops of every batch and channel."""
    input:
        index="results/{screen}/shards/index.parquet",
        splits="results/{screen}/shards/splits.parquet",
    output:
        statistics="results/{screen}/shards/statistics.parquet",
    log:
        "logs/{screen}/shard_statistics.log",
    benchmark:
        "benchmarks/{screen}/shard_statistics.tsv"
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=growing(4000),
        runtime=growing(120),
    params:
        channels=[channel["name"] for channel in config["screen"]["channels"]],
    script:
        "../scripts/shard_statistics.py"


rule sample_crops:
    """Count the cells of each tile, and read a few crops for a picture."""
    input:
        index="results/{screen}/shards/index.parquet",
    output:
        cells_per_tile="results/{screen}/qc/cells_per_tile.parquet",
        montage="results/{screen}/qc/montage.parquet",
    log:
        "logs/{screen}/sample_crops.log",
    benchmark:
        "benchmarks/{screen}/sample_crops.tsv"
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=4000,
        runtime="30m",
    script:
        "../scripts/sample_crops.py"


rule export_ome_zarr:
    """Export the crops of one shard as OME-Zarr."""
    input:
        "results/{screen}/crops/{plate}/{well}/{chunk}.{arm}.parquet",
        crops="results/{screen}/crops/{plate}/{well}/{chunk}.{arm}.npy",
    output:
        zarr=directory(
            "results/{screen}/ome_zarr/{plate}/{well}/{chunk}.{arm}.ome.zarr"
        ),
    log:
        "logs/{screen}/export_ome_zarr/{plate}/{well}/{chunk}.{arm}.log",
    benchmark:
        "benchmarks/{screen}/export_ome_zarr/{plate}/{well}/{chunk}.{arm}.tsv"
    wildcard_constraints:
        arm="ntc|perturbed",
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=growing(2000),
        runtime=growing(60),
    params:
        channels=config["screen"]["channels"],
        pixel_size_um=config["screen"]["pixel_size_um"],
        ngff=config["exports"]["ngff"],
    script:
        "../scripts/export_ome_zarr.py"


rule ome_zarr:
    """The crops of the whole screen as OME-Zarr."""
    input:
        expand(
            f"results/{SCREEN}/ome_zarr/{{plate}}/{{well}}/{{chunk}}.{{arm}}.ome.zarr",
            zip,
            **PLACES.shards,
        ),
