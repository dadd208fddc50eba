"""
Embeddings: one vector for every cell, of each training.

INPUTS
    results/{screen}/shards/index.parquet, cells.arrow
    results/{screen}/models/{model}/{seed}/weights.pt
OUTPUTS
    results/{screen}/embeddings/{model}/{seed}/{part}.parquet   one row per cell of the part
    results/{screen}/embeddings/{model}/{seed}.parquet          one row per cell, as in the index
"""

ENCODER_FILES = {
    name: files_of(config["encoders"][name]["file"]) for name in EMBEDDINGS.encoders
}


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


rule project_pixels:
    """Random projections of the pixels of crops, or of what surrounds the cell."""
    input:
        index="results/{screen}/shards/index.parquet",
        cells="results/{screen}/shards/cells.arrow",
        outlines=branch(
            lambda wildcards: wildcards.model == "surroundings" and bool(OUTLINES),
            then=expand(
                "results/{screen}/outlines/{plate}/{well}.parquet",
                zip,
                **PLACES.wells,
                allow_missing=True,
            ),
        ),
    output:
        embedding=temp("results/{screen}/embeddings/{model}/{seed}/{part}.parquet"),
    log:
        "logs/{screen}/project_pixels/{model}/{seed}/{part}.log",
    benchmark:
        "benchmarks/{screen}/project_pixels/{model}/{seed}/{part}.tsv"
    wildcard_constraints:
        model="surroundings|random_pixels",
        part=r"\d+",
    conda:
        "../../envs/gpu.yaml"
    resources:
        mem_mb=growing(8000),
        runtime=growing(360),
    params:
        shortcut="{model}",
        parts=config["profiles"]["embedding_jobs"],
        seed=config["benchmarks"]["seed"],
    script:
        "../scripts/project_pixels.py"


rule embed_untrained:
    """Embed cells with the weights from which the training of the main model begins."""
    input:
        index="results/{screen}/shards/index.parquet",
        cells="results/{screen}/shards/cells.arrow",
        statistics="results/{screen}/shards/statistics.parquet",
    output:
        embedding=temp("results/{screen}/embeddings/untrained/{seed}/{part}.parquet"),
    log:
        "logs/{screen}/embed_untrained/{seed}/{part}.log",
    benchmark:
        "benchmarks/{screen}/embed_untrained/{seed}/{part}.tsv"
    wildcard_constraints:
        part=r"\d+",
    conda:
        "../../envs/gpu.yaml"
    resources:
        mem_mb=growing(8000),
        runtime=growing(360),
        gpu=1,
    params:
        model=config["models"][config["profiles"]["main_model"]],
        training=without(config["training"], "seeds", "checkpoint_minutes"),
        parts=config["profiles"]["embedding_jobs"],
        seed=config["benchmarks"]["seed"],
    script:
        "../scripts/embed_untrained.py"


rule encode_cells:
    """Embed a part of the cells with an encoder that others trained."""
    input:
        index="results/{screen}/shards/index.parquet",
        cells="results/{screen}/shards/cells.arrow",
        weights=lambda wildcards: ENCODER_FILES[wildcards.model],
    output:
        embedding=temp("results/{screen}/embeddings/{model}/{seed}/{part}.parquet"),
    log:
        "logs/{screen}/encode_cells/{model}/{seed}/{part}.log",
    benchmark:
        "benchmarks/{screen}/encode_cells/{model}/{seed}/{part}.tsv"
    wildcard_constraints:
        model="|".join(EMBEDDINGS.encoders) or "none",
        part=r"\d+",
    conda:
        "../../envs/gpu.yaml"
    resources:
        mem_mb=growing(16000),
        runtime=growing(720),
        gpu=1,
    params:
        model_name="{model}",
        # Without its licence, which changes no vector.
        encoder=lambda wildcards: select(
            config["encoders"][wildcards.model], "file", "input"
        ),
        device=config["training"]["device"],
        parts=config["profiles"]["embedding_jobs"],
    script:
        "../scripts/encode_cells.py"


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
        model="|".join([*config["models"], *EMBEDDINGS.encoders, *CROP_SHORTCUTS]),
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=growing(8000),
        runtime=growing(60),
    script:
        "../scripts/join_embeddings.py"
