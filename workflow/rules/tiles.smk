"""
Tiles: one chunk of a well's tiles becomes crops of its cells.

INPUTS
    results/{screen}/manifest/files.parquet                  one row per image file
    results/{screen}/cells/{plate}.parquet                   one row per cell
OUTPUTS
    results/{screen}/alignment/{plate}.consensus.parquet     shift, light and focus that a plate agrees on
    results/{screen}/alignment/{plate}.checks.parquet        known shifts, measured on tiles of the plate
    results/{screen}/alignment/{plate}.overlay.parquet       one of these tiles, before and after
    results/{screen}/illumination/{plate}/{well}.npy         its light, if crop.illumination is set
    results/{screen}/crops/{plate}/{well}/{chunk}.*          crops and their index, NTC apart
    results/{screen}/alignment/{plate}/{well}/{chunk}.parquet  one row per tile and channel
"""


rule plate_shifts:
    """Measure the channel shifts of a few tiles of a plate: its consensus."""
    input:
        files="results/{screen}/manifest/files.parquet",
    output:
        consensus="results/{screen}/alignment/{plate}.consensus.parquet",
        checks="results/{screen}/alignment/{plate}.checks.parquet",
        overlay="results/{screen}/alignment/{plate}.overlay.parquet",
    log:
        "logs/{screen}/plate_shifts/{plate}.log",
    benchmark:
        "benchmarks/{screen}/plate_shifts/{plate}.tsv"
    retries: 3
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=growing(4000),
        runtime=growing(120),
        archive_slots=1,
    params:
        screen=select(
            config["screen"],
            "tile_size_px",
            "cut_px",
            "z_planes",
            "projection",
            "axes",
            "counts",
        )
        | CHANNELS,
        alignment=config["alignment"],
        cache="results/{screen}/archive",
    script:
        "../scripts/plate_shifts.py"


rule well_illumination:
    """Estimate how light is spread over the tiles of a well."""
    input:
        # Not read: both jobs fetch into one folder, one after the other.
        ancient("results/{screen}/alignment/{plate}.consensus.parquet"),
        files="results/{screen}/manifest/files.parquet",
    output:
        light="results/{screen}/illumination/{plate}/{well}.npy",
    log:
        "logs/{screen}/well_illumination/{plate}/{well}.log",
    benchmark:
        "benchmarks/{screen}/well_illumination/{plate}/{well}.tsv"
    retries: 3
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=growing(2000),
        runtime=growing(120),
        archive_slots=1,
    params:
        screen=select(
            config["screen"],
            "tile_size_px",
            "cut_px",
            "z_planes",
            "projection",
            "axes",
            "counts",
        )
        | CHANNELS,
        settings=config["crop"]["illumination"],
        cache="results/{screen}/archive",
    script:
        "../scripts/well_illumination.py"


rule crop_chunk:
    """Fetch, project, align, clip and crop the tiles of one chunk."""
    input:
        # Not read: gene lists that do not fit the screen are told before any tile is cropped.
        ancient("results/{screen}/annotations/matched.tsv"),
        files="results/{screen}/manifest/files.parquet",
        cells="results/{screen}/cells/{plate}.parquet",
        consensus="results/{screen}/alignment/{plate}.consensus.parquet",
        illumination=branch(
            config["crop"]["illumination"],
            then="results/{screen}/illumination/{plate}/{well}.npy",
        ),
    output:
        ntc="results/{screen}/crops/{plate}/{well}/{chunk}.ntc.npy",
        ntc_index="results/{screen}/crops/{plate}/{well}/{chunk}.ntc.parquet",
        perturbed="results/{screen}/crops/{plate}/{well}/{chunk}.perturbed.npy",
        perturbed_index="results/{screen}/crops/{plate}/{well}/{chunk}.perturbed.parquet",
        alignment_table="results/{screen}/alignment/{plate}/{well}/{chunk}.parquet",
        dropped="results/{screen}/crops/{plate}/{well}/{chunk}.dropped.parquet",
    log:
        "logs/{screen}/crop_chunk/{plate}/{well}/{chunk}.log",
    benchmark:
        "benchmarks/{screen}/crop_chunk/{plate}/{well}/{chunk}.tsv"
    retries: 3
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=growing(8000),
        runtime=growing(120),
        archive_slots=1,
    params:
        screen=select(
            config["screen"],
            "tiles",
            "tile_size_px",
            "cut_px",
            "z_planes",
            "projection",
            "axes",
            "counts",
        )
        | CHANNELS,
        alignment=config["alignment"],
        crop=config["crop"],
        cache="results/{screen}/archive",
    script:
        "../scripts/crop_chunk.py"
