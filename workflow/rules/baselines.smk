"""
Baselines: embeddings without a network.

INPUTS
    results/{screen}/shards/{index,splits}.parquet
    results/{screen}/features/{plate}.parquet
OUTPUTS
    results/{screen}/embeddings/{cellprofiler,random}/0.parquet   one row per cell, as in the index
    results/{screen}/embeddings/whitened_cellprofiler/0.parquet   on request
    results/{screen}/embeddings/{shortcut}/0.parquet              density, position, cell_count
"""


rule cellprofiler_pca:
    """Principal components of the classical features: CellProfiler as one more model."""
    input:
        index="results/{screen}/shards/index.parquet",
        splits="results/{screen}/shards/splits.parquet",
        features=expand(
            "results/{screen}/features/{plate}.parquet",
            plate=PLACES.plates,
            allow_missing=True,
        ),
    output:
        embedding="results/{screen}/embeddings/cellprofiler/0.parquet",
    log:
        "logs/{screen}/cellprofiler_pca.log",
    benchmark:
        "benchmarks/{screen}/cellprofiler_pca.tsv"
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=growing(8000),
        runtime=growing(360),
    params:
        components=config["profiles"]["cellprofiler_components"],
        seed=config["benchmarks"]["seed"],
    script:
        "../scripts/cellprofiler_pca.py"


rule whitened_cellprofiler:
    """CellProfiler, whitened on the controls of each batch: one more model, on request."""
    input:
        index="results/{screen}/shards/index.parquet",
        splits="results/{screen}/shards/splits.parquet",
        embedding="results/{screen}/embeddings/cellprofiler/0.parquet",
    output:
        whitened="results/{screen}/embeddings/whitened_cellprofiler/0.parquet",
    log:
        "logs/{screen}/whitened_cellprofiler.log",
    benchmark:
        "benchmarks/{screen}/whitened_cellprofiler.tsv"
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=growing(8000),
        runtime=growing(60),
    script:
        "../scripts/whitened_cellprofiler.py"


rule random_embedding:
    """A random vector for every cell: what chance scores."""
    input:
        index="results/{screen}/shards/index.parquet",
    output:
        embedding="results/{screen}/embeddings/random/0.parquet",
    log:
        "logs/{screen}/random_embedding.log",
    benchmark:
        "benchmarks/{screen}/random_embedding.tsv"
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=growing(4000),
        runtime=growing(60),
    params:
        latent=config["profiles"]["cellprofiler_components"],
        seed=config["benchmarks"]["seed"],
    script:
        "../scripts/random_embedding.py"


rule shortcut_embedding:
    """What the place of a cell tells without a look at it: density, position, cell count."""
    input:
        index="results/{screen}/shards/index.parquet",
    output:
        embedding="results/{screen}/embeddings/{model}/0.parquet",
    log:
        "logs/{screen}/shortcut_embedding/{model}.log",
    benchmark:
        "benchmarks/{screen}/shortcut_embedding/{model}.tsv"
    wildcard_constraints:
        model="|".join(CELL_SHORTCUTS),
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=growing(8000),
        runtime=growing(120),
    params:
        shortcut="{model}",
        grid=GRID["well_grid"],
    script:
        "../scripts/shortcut_embedding.py"
