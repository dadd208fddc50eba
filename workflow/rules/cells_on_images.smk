"""
Cells on images: masks or a segmentation take the place of a table of cells.

INPUTS
    labels                                                addresses
    results/{screen}/manifest/masks.parquet               one row per mask
    results/{screen}/manifest/files.parquet               one row per image file
    results/{screen}/alignment/{plate}.consensus.parquet  usual shifts, light and focus of a plate
OUTPUTS
    results/{screen}/manifest/genes.parquet               the genes of its wells, as labels have them
    results/{screen}/segmented/{plate}/{well}.parquet     one row per cell: position, features
"""


rule check_labels:
    """Join the tables of labels to wells and tiles, before cells are looked for."""
    input:
        TABLES,
    output:
        genes="results/{screen}/manifest/genes.parquet",
    log:
        "logs/{screen}/check_labels.log",
    benchmark:
        "benchmarks/{screen}/check_labels.tsv"
    retries: 3
    localrule: True
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=growing(1500),
        runtime=growing(30),
        archive_slots=1,
    params:
        further=CELLS[1:],
        labels=config["labels"],
        origin=select(ON_IMAGES, "measure"),
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
        )
        | CHANNELS,
    script:
        "../scripts/check_labels.py"


rule segment_cells:
    """Find the cells of a well on its images, and measure them."""
    input:
        # Not read: labels and gene lists that do not fit are said first.
        ancient("results/{screen}/annotations/matched.tsv"),
        files="results/{screen}/manifest/files.parquet",
        masks=branch(ON_IMAGES["masks"], then="results/{screen}/manifest/masks.parquet"),
        consensus="results/{screen}/alignment/{plate}.consensus.parquet",
        illumination=branch(
            config["crop"]["illumination"],
            then="results/{screen}/illumination/{plate}/{well}.npy",
        ),
    output:
        table="results/{screen}/segmented/{plate}/{well}.parquet",
    log:
        "logs/{screen}/segment_cells/{plate}/{well}.log",
    benchmark:
        "benchmarks/{screen}/segment_cells/{plate}/{well}.tsv"
    retries: 3
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=growing(4000),
        runtime=growing(240),
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
        origin=select(ON_IMAGES, "segment", "measure"),
        alignment=config["alignment"],
        crop=select(config["crop"], "size_px", "illumination", "max_failed_fraction"),
        cache="results/{screen}/archive",
    script:
        "../scripts/segment_cells.py"
