"""
Score cards: every representation above the best shortcut, and cards side by side.

INPUTS
    results/{screen}/benchmarks/*.parquet              estimates of all representations
    leaderboard.cards                                  cards of other runs, also those of others
OUTPUTS
    results/{screen}/benchmarks/contents.parquet       what each space is made of
    results/{screen}/benchmarks/ladder.parquet         retrieval in the same batch, and farther away
    results/{screen}/card.json                         the card of the screen
    results/leaderboard.{html,tsv}                     all cards (target: leaderboard)
"""


rule contents:
    """What each space is made of: batch, density, position, the label itself."""
    input:
        index="results/{screen}/shards/index.parquet",
        splits="results/{screen}/shards/splits.parquet",
        embeddings=expand(
            "results/{screen}/embeddings/{model}/{seed}.parquet",
            zip,
            **EMBEDDINGS.all,
            allow_missing=True,
        ),
    output:
        benchmark="results/{screen}/benchmarks/contents.parquet",
    log:
        "logs/{screen}/contents.log",
    benchmark:
        "benchmarks/{screen}/contents.tsv"
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=growing(8000),
        runtime=growing(120),
    params:
        grid=GRID["well_grid"],
        seed=config["benchmarks"]["seed"],
    script:
        "../scripts/contents.py"


rule distance_ladder:
    """Retrieval within a batch, across batches and across plates, from as many cells each."""
    input:
        index="results/{screen}/shards/index.parquet",
        splits="results/{screen}/shards/splits.parquet",
        embeddings=expand(
            "results/{screen}/embeddings/{model}/{seed}.parquet",
            zip,
            **EMBEDDINGS.all,
            allow_missing=True,
        ),
        complexes="results/{screen}/annotations/complexes.parquet",
    output:
        benchmark="results/{screen}/benchmarks/ladder.parquet",
    log:
        "logs/{screen}/distance_ladder.log",
    benchmark:
        "benchmarks/{screen}/distance_ladder.tsv"
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=growing(8000),
        runtime=growing(240),
    params:
        rounds=config["benchmarks"]["complexes"]["bootstrap"],
        seed=config["benchmarks"]["seed"],
    script:
        "../scripts/distance_ladder.py"


rule score_card:
    """The score card of the screen: tasks, scores, excess over the best shortcut, flags."""
    input:
        index=branch(FROM_CELLS, then=f"results/{SCREEN}/shards/index.parquet"),
        splits=branch(FROM_CELLS, then=f"results/{SCREEN}/shards/splits.parquet"),
        genes=branch(
            not FROM_CELLS,
            then=f"results/{SCREEN}/profiles/{EMBEDDINGS.main}/genes.parquet",
        ),
        tables=expand(
            f"results/{SCREEN}/benchmarks/{{table}}.parquet",
            table=card_tables(config),
        ),
        lists=expand(
            f"results/{SCREEN}/annotations/{{name}}.parquet",
            name=["complexes", "pairs", "functional_groups", "mitotic_factors"],
        ),
        encoders=expand(
            f"results/{SCREEN}/embeddings/{{model}}/0.parquet",
            model=EMBEDDINGS.encoders,
        ),
    output:
        card=f"results/{SCREEN}/card.json",
    log:
        f"logs/{SCREEN}/score_card.log",
    benchmark:
        f"benchmarks/{SCREEN}/score_card.tsv"
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=growing(4000),
        runtime=growing(60),
    params:
        screen_name=SCREEN,
        settings=select(
            config["benchmarks"], "seed", "functions", "mitosis", "covariates"
        ),
        models=EMBEDDINGS.kinds,
    script:
        "../scripts/score_card.py"


rule leaderboard:
    """Score cards side by side: that of this screen, and those of leaderboard.cards."""
    input:
        # The card of this screen may be listed, too, at a place of its own.
        cards=list(
            dict.fromkeys(
                [*config["leaderboard"]["cards"], f"results/{SCREEN}/card.json"]
            )
        ),
    output:
        page="results/leaderboard.html",
        table="results/leaderboard.tsv",
    log:
        "logs/leaderboard.log",
    localrule: True
    conda:
        "../../envs/cpu.yaml"
    script:
        "../scripts/leaderboard.py"
