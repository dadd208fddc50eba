"""
Models: one training per model and seed, and the embedding of every cell.

INPUTS
    results/{screen}/shards/{index,splits,statistics}.parquet
OUTPUTS
    results/{screen}/models/{model}/{seed}/weights.pt          best weights and their settings
    results/{screen}/models/{model}/{seed}/metrics.parquet     the course of the training
    results/{screen}/models/{model}/{seed}/samples.parquet     pixels of cells and reconstructions
    results/{screen}/embeddings/{model}/{seed}.parquet         one row per cell, as in the index
"""


rule train_model:
    """Train one model with one seed; a killed training goes on from its checkpoint."""
    input:
        index="results/{screen}/shards/index.parquet",
        splits="results/{screen}/shards/splits.parquet",
        statistics="results/{screen}/shards/statistics.parquet",
    output:
        weights="results/{screen}/models/{model}/{seed}/weights.pt",
        metrics="results/{screen}/models/{model}/{seed}/metrics.parquet",
        samples="results/{screen}/models/{model}/{seed}/samples.parquet",
    log:
        "logs/{screen}/train_model/{model}/{seed}.log",
    benchmark:
        "benchmarks/{screen}/train_model/{model}/{seed}.tsv"
    conda:
        "../../envs/gpu.yaml"
    resources:
        mem_mb=growing(16000),
        runtime=growing(1440),
        gpu=1,
        nodes=1,
    params:
        model_name="{model}",
        model=lookup(dpath="models/{model}", within=config),
        training=without(config["training"], "seeds", "device", "checkpoint_minutes"),
        channels=NAMES.channels,
        checkpoint_dir="results/{screen}/checkpoints/{model}/{seed}",
        tensorboard_dir="logs/{screen}/tensorboard/{model}/{seed}",
    script:
        "../scripts/train_model.py"


include: f"embedding_{NAMES.embedding}.smk"


rule cellprofiler_pca:
    """Principal components of the classical features: CellProfiler as one more model."""
    input:
        index="results/{screen}/shards/index.parquet",
        features=expand(
            "results/{screen}/features/{plate}/{well}.parquet",
            zip,
            **NAMES.batches,
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
        mem_mb=growing(16000),
        runtime=growing(360),
    params:
        components=config["profiles"]["cellprofiler_components"],
        seed=config["benchmarks"]["seed"],
    script:
        "../scripts/cellprofiler_pca.py"


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
