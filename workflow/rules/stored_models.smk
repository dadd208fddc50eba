"""
Stored models: weights of another run, used on the cells of this one without a training.

INPUTS
    models/{model}/weights                                     of the configuration
    results/{screen}/shards/{index,statistics}.parquet, cells.arrow
OUTPUTS
    results/{screen}/models/{model}/{seed}/weights.pt          for the batches of this screen
    results/{screen}/models/{model}/{seed}/metrics.parquet     one validation
    results/{screen}/models/{model}/{seed}/samples.parquet     pixels of cells and reconstructions
"""


rule take_model:
    """Fit the weights of another run to the batches of this screen, by its control cells."""
    input:
        index="results/{screen}/shards/index.parquet",
        cells="results/{screen}/shards/cells.arrow",
        statistics="results/{screen}/shards/statistics.parquet",
        stored=lookup(dpath="models/{model}/weights", within=config),
    output:
        weights="results/{screen}/models/{model}/{seed}/weights.pt",
        metrics="results/{screen}/models/{model}/{seed}/metrics.parquet",
        samples="results/{screen}/models/{model}/{seed}/samples.parquet",
    log:
        "logs/{screen}/take_model/{model}/{seed}.log",
    benchmark:
        "benchmarks/{screen}/take_model/{model}/{seed}.tsv"
    wildcard_constraints:
        model="|".join(EMBEDDINGS.stored_models),
    conda:
        "../../envs/gpu.yaml"
    resources:
        mem_mb=growing(4000),
        runtime=growing(60),
    params:
        model_name="{model}",
        model=lookup(dpath="models/{model}", within=config),
        training=without(config["training"], "seeds", "device", "checkpoint_minutes"),
        channels=[channel["name"] for channel in config["screen"]["channels"]],
        pixel_size_um=config["screen"]["pixel_size_um"],
    script:
        "../scripts/take_model.py"
