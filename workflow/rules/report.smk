"""
Report: what a scientist reads, in one file, and looks through in another.

INPUTS
    results/{screen}/figures/, claims.tsv, benchmarks/, qc/, models/*/metrics.parquet
    results/{screen}/profiles/, shards/index.parquet, hits.parquet
OUTPUTS
    results/{screen}/configuration.yaml               of the run, whole
    results/{screen}/dictionary.tsv                   what each column of each table means
    results/{screen}/report.html                      self-contained
    results/{screen}/explorer.html, explorer/         map of guides and genes, crops of every gene
    results/{screen}/models/{model}/{seed}/card.md    what each trained model is
"""


rule store_configuration:
    """Store the whole configuration of the run, with every default."""
    output:
        stored=f"results/{SCREEN}/configuration.yaml",
    log:
        f"logs/{SCREEN}/store_configuration.log",
    localrule: True
    conda:
        "../../envs/cpu.yaml"
    params:
        configuration=without(config, "captions", "repository_files"),
    script:
        "../scripts/store_configuration.py"


rule dictionary:
    """Store what each column of each table means beside the tables."""
    input:
        tables=branch(
            FROM_CELLS,
            then=[
                f"results/{SCREEN}/hits.parquet",
                f"results/{SCREEN}/guides.parquet",
            ],
        ),
    output:
        dictionary=f"results/{SCREEN}/dictionary.tsv",
    log:
        f"logs/{SCREEN}/dictionary.log",
    localrule: True
    conda:
        "../../envs/cpu.yaml"
    script:
        "../scripts/dictionary.py"


rule model_cards:
    """Describe every trained model beside its weights: data, settings, scores, limits."""
    input:
        weights=expand(
            f"results/{SCREEN}/models/{{model}}/{{seed}}/weights.pt",
            zip,
            **EMBEDDINGS.trained,
        ),
        metrics=expand(
            f"results/{SCREEN}/models/{{model}}/{{seed}}/metrics.parquet",
            zip,
            **EMBEDDINGS.trained,
        ),
        tables=expand(
            f"results/{SCREEN}/benchmarks/{{table}}.parquet",
            table=benchmark_tables(config),
        ),
        index=f"results/{SCREEN}/shards/index.parquet",
        splits=f"results/{SCREEN}/shards/splits.parquet",
    output:
        cards=expand(
            f"results/{SCREEN}/models/{{model}}/{{seed}}/card.md",
            zip,
            **EMBEDDINGS.trained,
        ),
    log:
        f"logs/{SCREEN}/model_cards.log",
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=growing(4000),
        runtime=growing(30),
    params:
        source=config["source"],
        screen=SCREEN,
        root=config["archive"]["root"],
    script:
        "../scripts/model_cards.py"


rule explorer:
    """Write the page that shows the map of guides and genes, and crops of every gene."""
    input:
        index=f"results/{SCREEN}/shards/index.parquet",
        cells=f"results/{SCREEN}/shards/cells.arrow",
        guides=f"results/{SCREEN}/profiles/{EMBEDDINGS.main}/guides.parquet",
        genes=f"results/{SCREEN}/profiles/{EMBEDDINGS.main}/genes.parquet",
        maps=f"results/{SCREEN}/profiles/{EMBEDDINGS.main}/umap.parquet",
        groups=f"results/{SCREEN}/annotations/functional_groups.parquet",
        hits=f"results/{SCREEN}/hits.parquet",
        features=branch(
            "cellprofiler" in EMBEDDINGS.all["model"],
            then=f"results/{SCREEN}/altered_features.parquet",
        ),
        counterfactuals=branch(
            "figs8" in PANELS.drawn,
            then=[
                f"results/{SCREEN}/benchmarks/{EMBEDDINGS.main}/counterfactuals.parquet",
                f"results/{SCREEN}/benchmarks/{EMBEDDINGS.main}/counterfactual_cells.parquet",
                f"results/{SCREEN}/models/{EMBEDDINGS.main}/metrics.parquet",
            ],
        ),
    output:
        html=f"results/{SCREEN}/explorer.html",
        pictures=directory(f"results/{SCREEN}/explorer"),
    log:
        f"logs/{SCREEN}/explorer.log",
    benchmark:
        f"benchmarks/{SCREEN}/explorer.tsv"
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=growing(8000),
        runtime=growing(120),
    params:
        source=config["source"],
        screen=select(
            config["screen"], "name", "channels", "pixel_size_um", "organism", "words"
        ),
        crops_per_gene=config["figures"]["crops_per_gene"],
        given=(
            {
                "screen": select(
                    config["screen"], "z_planes", "projection", "axes", "counts"
                )
                | CHANNELS,
                "size_px": config["crop"]["size_px"],
                "cache": f"results/{SCREEN}/archive",
            }
            if CROPS_BESIDE
            else None
        ),
    script:
        "../scripts/explorer.py"


rule report:
    """Write the report of the run."""
    input:
        configuration=f"results/{SCREEN}/configuration.yaml",
        claims=f"results/{SCREEN}/claims.tsv",
        figures=expand(
            f"results/{SCREEN}/figures/{{panel}}.png",
            panel=PANELS.drawn,
        ),
        data=expand(
            f"results/{SCREEN}/figures/{{panel}}.csv",
            panel=PANELS.drawn,
        ),
        tables=expand(
            f"results/{SCREEN}/benchmarks/{{table}}.parquet",
            table=benchmark_tables(config),
        ),
        matched=f"results/{SCREEN}/annotations/matched.tsv",
        licences=f"results/{SCREEN}/annotations/licences.tsv",
        alignment=branch(FROM_CROPS, then=f"results/{SCREEN}/qc/alignment.parquet"),
        known_shifts=branch(FROM_CROPS, then=f"results/{SCREEN}/qc/checks.parquet"),
        row_counts=branch(FROM_CELLS, then=f"results/{SCREEN}/manifest/cell_rows.tsv"),
        dropped=branch(FROM_CROPS, then=f"results/{SCREEN}/qc/dropped.parquet"),
        feature_list=branch(FROM_CELLS, then=f"results/{SCREEN}/manifest/features.tsv"),
        index=branch(FROM_CELLS, then=f"results/{SCREEN}/shards/index.parquet"),
        splits=branch(FROM_CELLS, then=f"results/{SCREEN}/shards/splits.parquet"),
        hits=branch(FROM_CELLS, then=f"results/{SCREEN}/hits.parquet"),
        features=branch(
            FROM_CELLS and "cellprofiler" in EMBEDDINGS.all["model"],
            then=f"results/{SCREEN}/altered_features.parquet",
        ),
        explorer=branch(FROM_CELLS, then=f"results/{SCREEN}/explorer.html"),
        pictures=branch(FROM_CROPS or CROPS_BESIDE, then=f"results/{SCREEN}/explorer"),
        metrics=branch(
            FROM_CELLS,
            then=expand(
                f"results/{SCREEN}/models/{{model}}/{{seed}}/metrics.parquet",
                zip,
                **EMBEDDINGS.trained,
            ),
        ),
    output:
        html=report(
            f"results/{SCREEN}/report.html",
            caption="../report/report.rst",
            category="Report",
        ),
    log:
        f"logs/{SCREEN}/report.log",
    benchmark:
        f"benchmarks/{SCREEN}/report.tsv"
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=growing(4000),
        runtime=growing(30),
    params:
        screen=config["screen"],
        captions=PANELS.captions,
        left_out=PANELS.left_out,
        main_model=config["profiles"]["main_model"],
        timings=f"benchmarks/{SCREEN}",
    script:
        "../scripts/report.py"


# Without any output, as `plan`: it runs whenever it is asked for.
rule verify:
    """Compare every file of the run with the checksums that the rules wrote."""
    log:
        f"logs/{SCREEN}/verify.log",
    conda:
        "../../envs/cpu.yaml"
    threads: 4
    resources:
        mem_mb=2000,
        runtime="720m",
    params:
        checksums=f"checksums/{SCREEN}",
    script:
        "../scripts/verify.py"


rule print_resources:
    """Print what each rule asked for against what it used in the runs so far."""
    log:
        "logs/print_resources.log",
    localrule: True
    conda:
        "../../envs/cpu.yaml"
    params:
        timings=f"benchmarks/{SCREEN}",
    script:
        "../scripts/print_resources.py"
