"""
Benchmarks: one tidy table each, by the published and by a strict protocol.

INPUTS
    results/{screen}/profiles/, embeddings/, features/, annotations/
OUTPUTS
    results/{screen}/benchmarks/{benchmark}.parquet   one row per estimate
    results/{screen}/benchmarks/{model}/{seed}/umap_{cells,guides}.parquet   maps of one training
    results/{screen}/claims.tsv                       claims, tested
    results/{screen}/hits.{parquet,tsv}               one row per gene: does it do anything?
    results/{screen}/guides.{parquet,tsv}             one row per guide: does it agree with its gene?
    results/{screen}/altered_features.parquet         what each hit changes, in classical features
"""


rule complexes:
    """Fig. 2: precision and recall of protein complexes."""
    input:
        genes=expand(
            "results/{screen}/profiles/{model}/{seed}/genes.parquet",
            zip,
            **EMBEDDINGS.all,
            allow_missing=True,
        ),
        complexes="results/{screen}/annotations/complexes.parquet",
        pairs="results/{screen}/annotations/pairs.parquet",
    output:
        benchmark="results/{screen}/benchmarks/complexes.parquet",
    log:
        "logs/{screen}/complexes.log",
    benchmark:
        "benchmarks/{screen}/complexes.tsv"
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=growing(4000),
        runtime=growing(240),
    params:
        settings=config["benchmarks"]["complexes"],
        seed=config["benchmarks"]["seed"],
    script:
        "../scripts/complexes.py"


rule covariates:
    """Fig. 3B: what control cells tell of batch, field of view and well."""
    input:
        index="results/{screen}/shards/index.parquet",
        splits="results/{screen}/shards/splits.parquet",
        embeddings=expand(
            "results/{screen}/embeddings/{model}/{seed}.parquet",
            zip,
            **EMBEDDINGS.shown,
            allow_missing=True,
        ),
    output:
        benchmark="results/{screen}/benchmarks/covariates.parquet",
    log:
        "logs/{screen}/covariates.log",
    benchmark:
        "benchmarks/{screen}/covariates.tsv"
    conda:
        "../../envs/cpu.yaml"
    threads: 4
    resources:
        mem_mb=growing(8000),
        runtime=growing(240),
    params:
        screen=select(config["screen"], "tile_size_px", "well_grid"),
        settings=config["benchmarks"]["covariates"],
        seed=config["benchmarks"]["seed"],
    script:
        "../scripts/covariates.py"


rule functions:
    """Fig. 4B, 4C: functional groups predicted from profiles."""
    input:
        profiles=expand(
            f"results/{{screen}}/profiles/{{model}}/{{seed}}/{LEVEL}.parquet",
            zip,
            **EMBEDDINGS.shown,
            allow_missing=True,
        ),
        groups="results/{screen}/annotations/functional_groups.parquet",
        significance="results/{screen}/profiles/guide_significance.parquet",
    output:
        benchmark="results/{screen}/benchmarks/functions.parquet",
    log:
        "logs/{screen}/functions.log",
    benchmark:
        "benchmarks/{screen}/functions.tsv"
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=growing(4000),
        runtime=growing(240),
    params:
        settings=without(config["benchmarks"]["functions"], "significance")
        | select(config["benchmarks"]["features"], "shifting_groups", "novel_groups"),
        seed=config["benchmarks"]["seed"],
    script:
        "../scripts/functions.py"


rule feature_ranking:
    """Fig. 4D, 4E: the classical features that a group of genes alters most."""
    input:
        index="results/{screen}/shards/index.parquet",
        features=expand(
            "results/{screen}/features/{plate}.parquet",
            plate=PLACES.plates,
            allow_missing=True,
        ),
        groups="results/{screen}/annotations/functional_groups.parquet",
    output:
        benchmark="results/{screen}/benchmarks/features.parquet",
    log:
        "logs/{screen}/feature_ranking.log",
    benchmark:
        "benchmarks/{screen}/feature_ranking.tsv"
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=growing(8000),
        runtime=growing(240),
    params:
        settings=config["benchmarks"]["features"],
    script:
        "../scripts/feature_ranking.py"


rule mitosis:
    """Fig. 5: mitotic factors from the norms of the salient and background profiles."""
    input:
        genes=expand(
            "results/{screen}/profiles/{model}/{seed}/genes.parquet",
            zip,
            **EMBEDDINGS.shown,
            allow_missing=True,
        ),
        mitotic_index="results/{screen}/profiles/mitotic_index.parquet",
        mitotic_factors="results/{screen}/annotations/mitotic_factors.parquet",
        wider_mitotic_factors="results/{screen}/annotations/wider_mitotic_factors.parquet",
        groups="results/{screen}/annotations/functional_groups.parquet",
    output:
        benchmark="results/{screen}/benchmarks/mitosis.parquet",
        points="results/{screen}/benchmarks/mitosis_points.parquet",
    log:
        "logs/{screen}/mitosis.log",
    benchmark:
        "benchmarks/{screen}/mitosis.tsv"
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=growing(4000),
        runtime=growing(60),
    params:
        settings=config["benchmarks"]["mitosis"]
        | select(config["benchmarks"]["features"], "shifting_groups", "novel_groups"),
        models=EMBEDDINGS.shown_models,
    script:
        "../scripts/mitosis.py"


rule guide_consistency:
    """Fig. S1: do the guides of one gene agree?"""
    input:
        guides=expand(
            "results/{screen}/profiles/{model}/{seed}/guides.parquet",
            zip,
            **EMBEDDINGS.all,
            allow_missing=True,
        ),
    output:
        benchmark="results/{screen}/benchmarks/guides.parquet",
    log:
        "logs/{screen}/guide_consistency.log",
    benchmark:
        "benchmarks/{screen}/guide_consistency.tsv"
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=growing(4000),
        runtime=growing(240),
    params:
        permutations=config["benchmarks"]["complexes"]["permutations"],
        seed=config["benchmarks"]["seed"],
    script:
        "../scripts/guide_consistency.py"


rule corrections:
    """Fig. S2: what batch correction does to each space."""
    input:
        genes=expand(
            "results/{screen}/profiles/{model}/{seed}/genes.parquet",
            zip,
            **EMBEDDINGS.shown,
            allow_missing=True,
        ),
        corrected_genes=expand(
            "results/{screen}/profiles/{model}/{seed}/corrected_genes.parquet",
            zip,
            **EMBEDDINGS.shown,
            allow_missing=True,
        ),
        guides=expand(
            "results/{screen}/profiles/{model}/{seed}/guides.parquet",
            zip,
            **EMBEDDINGS.shown,
            allow_missing=True,
        ),
        corrected_guides=expand(
            "results/{screen}/profiles/{model}/{seed}/corrected_guides.parquet",
            zip,
            **EMBEDDINGS.shown,
            allow_missing=True,
        ),
        complexes="results/{screen}/annotations/complexes.parquet",
    output:
        benchmark="results/{screen}/benchmarks/corrections.parquet",
    log:
        "logs/{screen}/corrections.log",
    benchmark:
        "benchmarks/{screen}/corrections.tsv"
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=growing(4000),
        runtime=growing(240),
    params:
        rounds=config["benchmarks"]["complexes"]["bootstrap"],
        seed=config["benchmarks"]["seed"],
    script:
        "../scripts/corrections.py"


rule batch_integration:
    """Fig. S2: how well batches mix among control cells, in each space and after each correction."""
    input:
        index="results/{screen}/shards/index.parquet",
        splits="results/{screen}/shards/splits.parquet",
        embeddings=expand(
            "results/{screen}/embeddings/{model}/{seed}.parquet",
            zip,
            **EMBEDDINGS.shown,
            allow_missing=True,
        ),
    output:
        benchmark="results/{screen}/benchmarks/integration.parquet",
    log:
        "logs/{screen}/batch_integration.log",
    benchmark:
        "benchmarks/{screen}/batch_integration.tsv"
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=growing(8000),
        runtime=growing(120),
    params:
        corrections=config["profiles"]["corrections"],
        seed=config["benchmarks"]["seed"],
    script:
        "../scripts/batch_integration.py"


rule replicate_agreement:
    """Fig. S4: do replicates agree, and does a profile find its gene in another batch?"""
    input:
        index="results/{screen}/shards/index.parquet",
        splits="results/{screen}/shards/splits.parquet",
        embeddings=expand(
            "results/{screen}/embeddings/{model}/{seed}.parquet",
            zip,
            **EMBEDDINGS.shown,
            allow_missing=True,
        ),
    output:
        benchmark="results/{screen}/benchmarks/replicates.parquet",
    log:
        "logs/{screen}/replicate_agreement.log",
    benchmark:
        "benchmarks/{screen}/replicate_agreement.tsv"
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=growing(8000),
        runtime=growing(120),
    params:
        permutations=config["profiles"]["permutations"],
        seed=config["benchmarks"]["seed"],
    script:
        "../scripts/replicate_agreement.py"


rule power_curve:
    """Fig. S5: complexes and hits that are found with fewer cells."""
    input:
        index="results/{screen}/shards/index.parquet",
        splits="results/{screen}/shards/splits.parquet",
        embeddings=expand(
            "results/{screen}/embeddings/{model}/{seed}.parquet",
            zip,
            **EMBEDDINGS.shown,
            allow_missing=True,
        ),
        complexes="results/{screen}/annotations/complexes.parquet",
    output:
        benchmark="results/{screen}/benchmarks/power.parquet",
    log:
        "logs/{screen}/power_curve.log",
    benchmark:
        "benchmarks/{screen}/power_curve.tsv"
    conda:
        "../../envs/cpu.yaml"
    threads: 4
    resources:
        mem_mb=growing(8000),
        runtime=growing(360),
    params:
        permutations=config["profiles"]["permutations"],
        rounds=config["benchmarks"]["complexes"]["bootstrap"],
        seed=config["benchmarks"]["seed"],
    script:
        "../scripts/power_curve.py"


rule dose_response:
    """Fig. S7: dose response of compounds, and retrieval of their mechanisms."""
    input:
        index="results/{screen}/shards/index.parquet",
        splits="results/{screen}/shards/splits.parquet",
        embeddings=expand(
            "results/{screen}/embeddings/{model}/{seed}.parquet",
            zip,
            **EMBEDDINGS.shown,
            allow_missing=True,
        ),
        groups="results/{screen}/annotations/functional_groups.parquet",
    output:
        benchmark="results/{screen}/benchmarks/doses.parquet",
    log:
        "logs/{screen}/dose_response.log",
    benchmark:
        "benchmarks/{screen}/dose_response.tsv"
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=growing(8000),
        runtime=growing(120),
    params:
        pattern=config["benchmarks"]["doses"]["pattern"],
        permutations=config["profiles"]["permutations"],
        seed=config["benchmarks"]["seed"],
    script:
        "../scripts/dose_response.py"


rule hits:
    """Which genes and guides change the cells: activity, agreement, norms, confounders, resemblance."""
    input:
        index=f"results/{SCREEN}/shards/index.parquet",
        splits=f"results/{SCREEN}/shards/splits.parquet",
        embedding=f"results/{SCREEN}/embeddings/{EMBEDDINGS.main}.parquet",
        mitotic_index=branch(
            "mitosis" in benchmark_tables(config),
            then=f"results/{SCREEN}/profiles/mitotic_index.parquet",
        ),
        complexes=f"results/{SCREEN}/annotations/complexes.parquet",
        groups=f"results/{SCREEN}/annotations/functional_groups.parquet",
        arms=f"results/{SCREEN}/annotations/chromosome_arms.parquet",
    output:
        hits=f"results/{SCREEN}/hits.parquet",
        hits_text=f"results/{SCREEN}/hits.tsv",
        guide_table=f"results/{SCREEN}/guides.parquet",
        guide_text=f"results/{SCREEN}/guides.tsv",
    log:
        f"logs/{SCREEN}/hits.log",
    benchmark:
        f"benchmarks/{SCREEN}/hits.tsv"
    conda:
        "../../envs/cpu.yaml"
    threads: 4
    resources:
        mem_mb=growing(8000),
        runtime=growing(360),
    params:
        level=config["benchmarks"]["hits"]["level"],
        trained=EMBEDDINGS.is_trained(config["profiles"]["main_model"]),
        statistic=config["profiles"]["significance_statistic"],
        permutations=config["profiles"]["permutations"],
        seed=config["benchmarks"]["seed"],
        dose_pattern=config["benchmarks"]["doses"]["pattern"],
    script:
        "../scripts/hits.py"


rule altered_features:
    """The classical features that each hit alters most."""
    input:
        index=f"results/{SCREEN}/shards/index.parquet",
        features=expand(
            f"results/{SCREEN}/features/{{plate}}.parquet", plate=PLACES.plates
        ),
        hits=f"results/{SCREEN}/hits.parquet",
    output:
        altered=f"results/{SCREEN}/altered_features.parquet",
    log:
        f"logs/{SCREEN}/altered_features.log",
    benchmark:
        f"benchmarks/{SCREEN}/altered_features.tsv"
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=growing(8000),
        runtime=growing(240),
    script:
        "../scripts/altered_features.py"


rule umap_cells:
    """Fig. 3A: UMAP of single cells, one per space."""
    input:
        index="results/{screen}/shards/index.parquet",
        embedding="results/{screen}/embeddings/{model}/{seed}.parquet",
    output:
        coordinates="results/{screen}/benchmarks/{model}/{seed}/umap_cells.parquet",
    log:
        "logs/{screen}/umap_cells/{model}/{seed}.log",
    benchmark:
        "benchmarks/{screen}/umap_cells/{model}/{seed}.tsv"
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=growing(16000),
        runtime=growing(240),
    params:
        screen=select(config["screen"], "tile_size_px", "well_grid"),
        settings=config["benchmarks"]["umap"]
        | select(
            config["benchmarks"]["covariates"],
            "fov_centre_fraction",
            "fov_edge_fraction",
        ),
        seed=config["benchmarks"]["seed"],
    script:
        "../scripts/umap_cells.py"


rule umap_guides:
    """Fig. 4A: UMAP of guides."""
    input:
        profiles=f"results/{{screen}}/profiles/{{model}}/{{seed}}/{LEVEL}.parquet",
        groups="results/{screen}/annotations/functional_groups.parquet",
        significance="results/{screen}/profiles/guide_significance.parquet",
    output:
        coordinates="results/{screen}/benchmarks/{model}/{seed}/umap_guides.parquet",
    log:
        "logs/{screen}/umap_guides/{model}/{seed}.log",
    benchmark:
        "benchmarks/{screen}/umap_guides/{model}/{seed}.tsv"
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=growing(4000),
        runtime=growing(60),
    params:
        settings=select(config["benchmarks"]["functions"], "level", "max_p_value"),
        seed=config["benchmarks"]["seed"],
    script:
        "../scripts/umap_guides.py"


rule claims:
    """The claims: estimate, interval, verdict."""
    input:
        tables=expand(
            f"results/{SCREEN}/benchmarks/{{table}}.parquet",
            table=benchmark_tables(config),
        ),
    output:
        claims=f"results/{SCREEN}/claims.tsv",
    log:
        f"logs/{SCREEN}/claims.log",
    benchmark:
        f"benchmarks/{SCREEN}/claims.tsv"
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=growing(4000),
        runtime=growing(60),
    params:
        main_model=config["profiles"]["main_model"],
        compared_models=config["profiles"]["compared_models"],
        shifting_groups=config["benchmarks"]["features"]["shifting_groups"],
        novel_groups=config["benchmarks"]["features"]["novel_groups"],
    script:
        "../scripts/claims.py"


rule cell_neighbours:
    """Fig. S9: how well gene, arm, well and stage of single cells are told from each space."""
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
        benchmark="results/{screen}/benchmarks/cell_neighbours.parquet",
    log:
        "logs/{screen}/cell_neighbours.log",
    benchmark:
        "benchmarks/{screen}/cell_neighbours.tsv"
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=growing(8000),
        runtime=growing(60),
    params:
        seed=config["benchmarks"]["seed"],
    script:
        "../scripts/cell_neighbours.py"


rule counterfactuals:
    """Fig. S8: control cells with the salient state of the first hits."""
    input:
        index="results/{screen}/shards/index.parquet",
        cells="results/{screen}/shards/cells.arrow",
        weights="results/{screen}/models/{model}/{seed}/weights.pt",
        hits="results/{screen}/hits.parquet",
    output:
        benchmark="results/{screen}/benchmarks/{model}/{seed}/counterfactuals.parquet",
        pictures="results/{screen}/benchmarks/{model}/{seed}/counterfactual_cells.parquet",
    log:
        "logs/{screen}/counterfactuals/{model}/{seed}.log",
    benchmark:
        "benchmarks/{screen}/counterfactuals/{model}/{seed}.tsv"
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=growing(4000),
        runtime=growing(60),
    params:
        model_name="{model}",
    script:
        "../scripts/counterfactuals.py"
