"""
Archive: what the study holds, and the cells that were called in it.

INPUTS
    archive.root, cells, labels                       paths or addresses
OUTPUTS
    results/{screen}/manifest/files.parquet           one row per image file
    results/{screen}/manifest/left_out.tsv            the study's other files, counted by kind
    results/{screen}/manifest/feature_parts.parquet   one row per file of the tables of cells and labels
    results/{screen}/manifest/features.tsv            every column of them: a feature, or why not
    results/{screen}/manifest/cell_rows.tsv           how many of their rows are used, and why others are not
    results/{screen}/cells/{plate}.parquet            one row per cell
    results/{screen}/features/{plate}.parquet         its classical features, row-aligned
    results/{screen}/plan.tsv                         what the run will cost (target: plan)
"""


rule list_files:
    """List the image files of the study that belong to the screen."""
    input:
        local_paths(
            [local_study(config["archive"]["root"]), config["archive"]["files"]]
        ),
    output:
        manifest="results/{screen}/manifest/files.parquet",
        left_out="results/{screen}/manifest/left_out.tsv",
    log:
        "logs/{screen}/list_files.log",
    benchmark:
        "benchmarks/{screen}/list_files.tsv"
    retries: 3
    localrule: True
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=growing(4000),
        runtime=growing(60),
        archive_slots=1,
    params:
        archive=select(config["archive"], "root", "files"),
        screen=select(config["screen"], "plates", "tiles", "cut_px", "images")
        | CHANNELS,
    script:
        "../scripts/list_files.py"


rule list_feature_parts:
    """List the files of the tables of cells and labels, and check their headers."""
    input:
        TABLES,
        branch(
            ON_IMAGES,
            then=expand(
                "results/{screen}/segmented/{plate}/{well}.parquet",
                zip,
                **PLACES.wells,
                allow_missing=True,
            ),
        ),
    output:
        feature_parts="results/{screen}/manifest/feature_parts.parquet",
    log:
        "logs/{screen}/list_feature_parts.log",
    benchmark:
        "benchmarks/{screen}/list_feature_parts.tsv"
    retries: 3
    localrule: True
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=growing(1500),
        runtime=growing(30),
        archive_slots=1,
    params:
        cells=CELLS,
        labels=config["labels"],
        screen=select(
            config["screen"],
            "plates",
            "tiles",
            "cut_px",
            "control",
            "features",
            "not_features",
        )
        | SPACES,
    script:
        "../scripts/list_feature_parts.py"


rule split_cells:
    """Stream the tables of cells into one table of cells, and one of features, per plate."""
    input:
        feature_parts="results/{screen}/manifest/feature_parts.parquet",
    output:
        cells=expand(
            "results/{screen}/cells/{plate}.parquet",
            plate=PLACES.plates,
            allow_missing=True,
        ),
        features=expand(
            "results/{screen}/features/{plate}.parquet",
            plate=PLACES.plates,
            allow_missing=True,
        ),
        feature_list="results/{screen}/manifest/features.tsv",
        row_counts="results/{screen}/manifest/cell_rows.tsv",
    log:
        "logs/{screen}/split_cells.log",
    benchmark:
        "benchmarks/{screen}/split_cells.tsv"
    retries: 3
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=growing(8000),
        runtime=growing(720),
        archive_slots=1,
    params:
        screen=select(
            config["screen"],
            "plates",
            "tiles",
            "tile_size_px",
            "cut_px",
            "control",
            "ambiguous_labels",
            "features",
            "not_features",
            "mitotic",
            "batch",
            "duplicates",
        )
        | GRID
        | SPACES,
        tables=CELLS,
        labels=config["labels"],
        cache="results/{screen}/archive/features",
    script:
        "../scripts/split_cells.py"


# Without any output, not even a benchmark, since such a rule runs whenever it is asked for: what is
# here, and the room on the disk, change from hour to hour.
rule plan:
    """Say what the run will cost; stop if the disk cannot hold it."""
    input:
        files=f"results/{SCREEN}/manifest/files.parquet",
        left_out=f"results/{SCREEN}/manifest/left_out.tsv",
        feature_parts=branch(
            ON_IMAGES is None,
            then=f"results/{SCREEN}/manifest/feature_parts.parquet",
        ),
    log:
        f"logs/{SCREEN}/plan.log",
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=2000,
        runtime="10m",
    params:
        settings=select(
            config,
            "screen",
            "archive",
            "alignment",
            "crop",
            "models",
            "training",
            "plan",
        ),
        results=subpath(input.files, ancestor=2),
        timings=f"benchmarks/{SCREEN}",
    script:
        "../scripts/plan.py"
