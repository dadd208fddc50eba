"""
Embedding in one job per model and seed.

INPUTS
    results/{screen}/shards/index.parquet
    results/{screen}/models/{model}/{seed}/weights.pt
OUTPUTS
    results/{screen}/embeddings/{model}/{seed}.parquet   one row per cell, as in the index
"""


rule embed_cells:
    """Embed every cell: the means of the posterior."""
    input:
        index="results/{screen}/shards/index.parquet",
        weights="results/{screen}/models/{model}/{seed}/weights.pt",
    output:
        embedding="results/{screen}/embeddings/{model}/{seed}.parquet",
    log:
        "logs/{screen}/embed_cells/{model}/{seed}.log",
    benchmark:
        "benchmarks/{screen}/embed_cells/{model}/{seed}.tsv"
    wildcard_constraints:
        model="|".join(config["models"]),
    conda:
        "../../envs/gpu.yaml"
    resources:
        mem_mb=growing(16000),
        runtime=growing(360),
        gpu=1,
    params:
        model_name="{model}",
        model=lookup(dpath="models/{model}", within=config),
        training=without(config["training"], "seeds", "device", "checkpoint_minutes"),
        part=0,
        parts=1,
    script:
        "../scripts/embed_cells.py"
