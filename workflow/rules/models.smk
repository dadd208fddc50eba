"""
Models: one training per model and seed.

INPUTS
    results/{screen}/shards/{index,statistics}.parquet, cells.arrow
OUTPUTS
    results/{screen}/models/{model}/{seed}/weights.pt          best weights and their settings
    results/{screen}/models/{model}/{seed}/metrics.parquet     the course of the training
    results/{screen}/models/{model}/{seed}/samples.parquet     pixels of cells and reconstructions
    results/{screen}/models/{model}/{seed}/weights.safetensors   the weights for others, on demand
"""

if EMBEDDINGS.stored_models:

    include: "stored_models.smk"


rule train_model:
    """Train one model with one seed; a killed training goes on from its checkpoint."""
    input:
        index="results/{screen}/shards/index.parquet",
        cells="results/{screen}/shards/cells.arrow",
        statistics="results/{screen}/shards/statistics.parquet",
    output:
        weights="results/{screen}/models/{model}/{seed}/weights.pt",
        metrics="results/{screen}/models/{model}/{seed}/metrics.parquet",
        samples="results/{screen}/models/{model}/{seed}/samples.parquet",
    log:
        "logs/{screen}/train_model/{model}/{seed}.log",
    benchmark:
        "benchmarks/{screen}/train_model/{model}/{seed}.tsv"
    wildcard_constraints:
        model="|".join(EMBEDDINGS.trained_models) or "none",
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
        channels=[channel["name"] for channel in config["screen"]["channels"]],
        pixel_size_um=config["screen"]["pixel_size_um"],
        checkpoint_dir="results/{screen}/checkpoints/{model}/{seed}",
        tensorboard_dir="logs/{screen}/tensorboard/{model}/{seed}",
    script:
        "../scripts/train_model.py"


rule export_weights:
    """Write the weights of a training as safetensors."""
    input:
        weights="results/{screen}/models/{model}/{seed}/weights.pt",
    output:
        export="results/{screen}/models/{model}/{seed}/weights.safetensors",
    log:
        "logs/{screen}/export_weights/{model}/{seed}.log",
    benchmark:
        "benchmarks/{screen}/export_weights/{model}/{seed}.tsv"
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    script:
        "../scripts/export_weights.py"
