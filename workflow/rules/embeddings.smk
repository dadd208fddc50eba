"""
Embeddings: one vector for every cell, of each training.

INPUTS
    results/{screen}/shards/index.parquet, cells.arrow
    results/{screen}/models/{model}/{seed}/weights.pt
OUTPUTS
    results/{screen}/embeddings/{model}/{seed}/{part}.parquet   one row per cell of the part
    results/{screen}/embeddings/{model}/{seed}.parquet          one row per cell, as in the index
"""


rule embed_cells:
    """Embed a part of the cells: the means of the posterior."""
    input:
        index="results/{screen}/shards/index.parquet",
        cells="results/{screen}/shards/cells.arrow",
        weights="results/{screen}/models/{model}/{seed}/weights.pt",
    output:
        embedding=temp("results/{screen}/embeddings/{model}/{seed}/{part}.parquet"),
    log:
        "logs/{screen}/embed_cells/{model}/{seed}/{part}.log",
    benchmark:
        "benchmarks/{screen}/embed_cells/{model}/{seed}/{part}.tsv"
    wildcard_constraints:
        model="|".join(config["models"]),
        part=r"\d+",
    conda:
        "../../envs/gpu.yaml"
    resources:
        mem_mb=growing(8000),
        runtime=growing(360),
        gpu=1,
    params:
        model_name="{model}",
        model=lookup(dpath="models/{model}", within=config),
        training=without(config["training"], "seeds", "device", "checkpoint_minutes"),
        parts=config["profiles"]["embedding_jobs"],
        log_variance=config["profiles"]["log_variance"],
    script:
        "../scripts/embed_cells.py"


rule join_embeddings:
    """Join the parts of an embedding: one job, or several, embed the cells of a training."""
    input:
        index="results/{screen}/shards/index.parquet",
        parts=expand(
            "results/{screen}/embeddings/{model}/{seed}/{part}.parquet",
            part=range(config["profiles"]["embedding_jobs"]),
            allow_missing=True,
        ),
    output:
        embedding="results/{screen}/embeddings/{model}/{seed}.parquet",
    log:
        "logs/{screen}/join_embeddings/{model}/{seed}.log",
    benchmark:
        "benchmarks/{screen}/join_embeddings/{model}/{seed}.tsv"
    wildcard_constraints:
        model="|".join(config["models"]),
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=growing(8000),
        runtime=growing(60),
    script:
        "../scripts/join_embeddings.py"
