"""
Evaluation: models compared on several screens, each of which is a run of its own.

INPUTS
    results/{screen}/benchmarks/, models/             of one screen
OUTPUTS
    results/{screen}/measures.parquet                 one row per profile, measure and training seed
    results/evaluation/model_comparison.{tsv,md}      estimates, differences, aims over the screens
"""


rule screen_measures:
    """Gather every measure of the models on one screen, by training seed."""
    input:
        complexes="results/{screen}/benchmarks/complexes.parquet",
        functions="results/{screen}/benchmarks/functions.parquet",
        covariates="results/{screen}/benchmarks/covariates.parquet",
        mitosis="results/{screen}/benchmarks/mitosis.parquet",
        corrections="results/{screen}/benchmarks/corrections.parquet",
        weights=expand(
            "results/{screen}/models/{model}/{seed}/weights.pt",
            zip,
            **EMBEDDINGS.trained,
            allow_missing=True,
        ),
        metrics=expand(
            "results/{screen}/models/{model}/{seed}/metrics.parquet",
            zip,
            **EMBEDDINGS.trained,
            allow_missing=True,
        ),
    output:
        measures="results/{screen}/measures.parquet",
    log:
        "logs/{screen}/screen_measures.log",
    benchmark:
        "benchmarks/{screen}/screen_measures.tsv"
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=growing(4000),
        runtime=growing(30),
    script:
        "../scripts/screen_measures.py"


rule compare_models:
    """Compare the models over the screens of the evaluation: estimates, differences, aims."""
    input:
        # Another screen's file is made by a run with that screen's configuration.
        measures=expand(
            "results/{evaluated}/measures.parquet",
            evaluated=config["evaluation"]["screens"],
        ),
    output:
        table="results/evaluation/model_comparison.tsv",
        page="results/evaluation/model_comparison.md",
    log:
        "logs/evaluation/compare_models.log",
    benchmark:
        "benchmarks/evaluation/compare_models.tsv"
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=growing(2000),
        runtime=growing(10),
    params:
        evaluation=config["evaluation"],
    script:
        "../scripts/compare_models.py"
