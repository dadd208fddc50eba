"""
The screen as a collection of the OPS Data Standard (docs/ops_standard.md), on demand (target: ops_standard).

INPUTS
    results/{screen}/shards/index.parquet, crops/          cells with crops
    results/{screen}/{cells,features}/{plate}.parquet
    results/{screen}/profiles/{model}/{seed}/{genes,umap}.parquet
OUTPUTS
    results/{screen}/ops_standard/collection_metadata.yaml
    results/{screen}/ops_standard/{name}/metadata/         experiment, perturbation library, features
    results/{screen}/ops_standard/{name}/cell_data.parquet
    results/{screen}/ops_standard/{name}/visualizations/{model}-{seed}/{aggregated_data.h5ad,examples.zarr}
    results/{screen}/ops_standard/{name}/*.zarr            tiles, if the images are on this machine
    results/{screen}/ops_standard.yaml                     a configuration that reads the collection
"""

from pathlib import PurePath

STANDARD = config["exports"]["ops_standard"]
AGGREGATION = aggregation_name(SCREEN, STANDARD["title"])
COLLECTION = "results/{screen}/ops_standard"
VISUALIZATION = f"visualizations/{'-'.join(PurePath(EMBEDDINGS.main).parts)}"
STORES = ImageStores(AGGREGATION, config["screen"]["plates"])


rule ops_metadata:
    """What the configuration says of the collection and of the experiment."""
    output:
        collection=f"{COLLECTION}/collection_metadata.yaml",
        experimental=f"{COLLECTION}/{AGGREGATION}/metadata/experimental_metadata.yaml",
    log:
        "logs/{screen}/ops_metadata.log",
    benchmark:
        "benchmarks/{screen}/ops_metadata.tsv"
    localrule: True
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=growing(1500),
        runtime=growing(10),
    params:
        screen=select(config["screen"], "name", "plates", "channels", "pixel_size_um"),
        settings=select(STANDARD, "title", "collection", "metadata"),
    script:
        "../scripts/ops_metadata.py"


rule ops_library:
    """The guides of the screen and what they target."""
    input:
        # Not read: what is missing in the configuration is said first.
        ancient(f"{COLLECTION}/collection_metadata.yaml"),
        index="results/{screen}/shards/index.parquet",
        library=branch(STANDARD["library"], then=str(STANDARD["library"])),
        gene_ids=branch(STANDARD["gene_ids"], then=str(STANDARD["gene_ids"])),
    output:
        perturbations=f"{COLLECTION}/{AGGREGATION}/metadata/perturbation_library.csv",
    log:
        "logs/{screen}/ops_library.log",
    benchmark:
        "benchmarks/{screen}/ops_library.tsv"
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    script:
        "../scripts/ops_library.py"


rule ops_cells:
    """The cells with crops and their features."""
    input:
        ancient(f"{COLLECTION}/collection_metadata.yaml"),
        index="results/{screen}/shards/index.parquet",
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
    output:
        cell_data=f"{COLLECTION}/{AGGREGATION}/cell_data.parquet",
        definitions=f"{COLLECTION}/{AGGREGATION}/metadata/feature_definitions.csv",
    log:
        "logs/{screen}/ops_cells.log",
    benchmark:
        "benchmarks/{screen}/ops_cells.tsv"
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=growing(4000),
        runtime=growing(240),
    params:
        screen=select(config["screen"], "channels", "tile_size_px", "cut_px"),
    script:
        "../scripts/ops_cells.py"


rule ops_aggregated:
    """Features of each perturbation, their tests against controls, and its place on the maps."""
    input:
        ancient(f"{COLLECTION}/collection_metadata.yaml"),
        index="results/{screen}/shards/index.parquet",
        features=expand(
            "results/{screen}/features/{plate}.parquet",
            plate=PLACES.plates,
            allow_missing=True,
        ),
        genes="results/{screen}/profiles/{model}/{seed}/genes.parquet",
        maps="results/{screen}/profiles/{model}/{seed}/umap.parquet",
    output:
        aggregated=f"{COLLECTION}/{AGGREGATION}/visualizations/{{model}}-{{seed}}/aggregated_data.h5ad",
    log:
        "logs/{screen}/ops_aggregated/{model}-{seed}.log",
    benchmark:
        "benchmarks/{screen}/ops_aggregated/{model}-{seed}.tsv"
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=growing(8000),
        runtime=growing(240),
    params:
        channels=select_each(config["screen"]["channels"], "name", "stain"),
        title=lambda wildcards: f"{STANDARD['title'] or SCREEN}: {wildcards.model}",
    script:
        "../scripts/ops_aggregated.py"


rule ops_examples:
    """Crops of some cells of each guide."""
    input:
        ancient(f"{COLLECTION}/collection_metadata.yaml"),
        index="results/{screen}/shards/index.parquet",
    output:
        examples=directory(
            f"{COLLECTION}/{AGGREGATION}/visualizations/{{model}}-{{seed}}/examples.zarr"
        ),
    log:
        "logs/{screen}/ops_examples/{model}-{seed}.log",
    benchmark:
        "benchmarks/{screen}/ops_examples/{model}-{seed}.tsv"
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=growing(8000),
        runtime=growing(240),
    params:
        channels=select_each(config["screen"]["channels"], "name", "colour"),
        pixel_size_um=config["screen"]["pixel_size_um"],
        crops_per_barcode=STANDARD["crops_per_barcode"],
    script:
        "../scripts/ops_examples.py"


rule ops_images:
    """The tiles of a well, as crops were cut from them."""
    input:
        ancient(f"{COLLECTION}/collection_metadata.yaml"),
        files="results/{screen}/manifest/files.parquet",
        index="results/{screen}/shards/index.parquet",
        consensus=lambda wildcards: (
            f"results/{SCREEN}/alignment/{STORES.plate_folder(wildcards)}.consensus.parquet"
        ),
        illumination=branch(
            config["crop"]["illumination"],
            then=lambda wildcards: (
                f"results/{SCREEN}/illumination/{STORES.plate_folder(wildcards)}/"
                f"{folder_name(STORES.well(wildcards))}.npy"
            ),
        ),
    output:
        well_group=directory(
            f"{COLLECTION}/{AGGREGATION}/{{store}}.zarr/{{row}}/{{column}}"
        ),
    log:
        "logs/{screen}/ops_images/{store}/{row}{column}.log",
    benchmark:
        "benchmarks/{screen}/ops_images/{store}/{row}{column}.tsv"
    wildcard_constraints:
        store="|".join(map(re.escape, STORES.plates)),
        row="[A-Z]",
        column=r"\d+",
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
            "pixel_size_um",
            "cut_px",
            "z_planes",
            "projection",
            "axes",
            "counts",
            "channels",
        ),
        alignment=config["alignment"],
        crop=config["crop"],
        cache="results/{screen}/archive",
        plate=lambda wildcards: STORES.plates[wildcards.store],
        well=STORES.well,
    script:
        "../scripts/ops_images.py"


rule ops_plate:
    """What a store of images says of its plate and channels."""
    input:
        ancient(f"{COLLECTION}/collection_metadata.yaml"),
        index="results/{screen}/shards/index.parquet",
    output:
        store=f"{COLLECTION}/{AGGREGATION}/{{store}}.zarr/zarr.json",
    log:
        "logs/{screen}/ops_plate/{store}.log",
    benchmark:
        "benchmarks/{screen}/ops_plate/{store}.tsv"
    wildcard_constraints:
        store="|".join(map(re.escape, STORES.plates)),
    localrule: True
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        plate=lambda wildcards: STORES.plates[wildcards.store],
        wells=lambda wildcards: config["screen"]["plates"][
            STORES.plates[wildcards.store]
        ],
        channels=select_each(config["screen"]["channels"], "name", "stain"),
    script:
        "../scripts/ops_plate.py"


rule ops_reading:
    """A configuration that reads the collection, with the methods of this run."""
    input:
        collection=f"{COLLECTION}/collection_metadata.yaml",
    output:
        reading="results/{screen}/ops_standard.yaml",
    log:
        "logs/{screen}/ops_reading.log",
    benchmark:
        "benchmarks/{screen}/ops_reading.tsv"
    localrule: True
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=growing(1500),
        runtime=growing(10),
    script:
        "../scripts/ops_reading.py"


rule ops_standard:
    """The whole collection of the OPS Data Standard."""
    input:
        expand(
            f"results/{SCREEN}/ops_standard/{AGGREGATION}/{{file}}",
            file=[
                "cell_data.parquet",
                "metadata/perturbation_library.csv",
                f"{VISUALIZATION}/aggregated_data.h5ad",
                f"{VISUALIZATION}/examples.zarr",
            ],
        ),
        branch(
            writes_images(config),
            then=[
                *expand(
                    f"results/{SCREEN}/ops_standard/{AGGREGATION}/{{store}}.zarr/zarr.json",
                    store=STORES.plates,
                ),
                *expand(
                    f"results/{SCREEN}/ops_standard/{AGGREGATION}/{{store}}.zarr/{{row}}/{{column}}",
                    zip,
                    **STORES.wells,
                ),
                f"results/{SCREEN}/ops_standard.yaml",
            ],
        ),
