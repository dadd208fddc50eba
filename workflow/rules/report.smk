"""
Report: what a scientist reads, in one file, and looks through in another.

INPUTS
    results/{screen}/figures/, claims.tsv, benchmarks/, qc/, models/*/metrics.parquet
    results/{screen}/profiles/, shards/index.parquet, hits.parquet
OUTPUTS
    results/{screen}/report.html                      self-contained
    results/{screen}/explorer.html, explorer/         map of guides and genes, crops of every gene
"""


rule explorer:
    """Write the page that shows the map of guides and genes, and crops of every gene."""
    input:
        index="results/{screen}/shards/index.parquet",
        guides=f"results/{{screen}}/profiles/{EMBEDDINGS.main}/guides.parquet",
        genes=f"results/{{screen}}/profiles/{EMBEDDINGS.main}/genes.parquet",
        maps=f"results/{{screen}}/profiles/{EMBEDDINGS.main}/umap.parquet",
        groups="results/{screen}/annotations/functional_groups.parquet",
        hits="results/{screen}/hits.parquet",
    output:
        html="results/{screen}/explorer.html",
        pictures=directory("results/{screen}/explorer"),
    log:
        "logs/{screen}/explorer.log",
    benchmark:
        "benchmarks/{screen}/explorer.tsv"
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=growing(16000),
        runtime=growing(120),
    params:
        screen=select(config["screen"], "name", "channels", "pixel_size_um", "words"),
        crops_per_gene=config["figures"]["crops_per_gene"],
    script:
        "../scripts/explorer.py"


rule report:
    """Write the report of the run."""
    input:
        claims="results/{screen}/claims.tsv",
        figures=expand(
            "results/{screen}/figures/{panel}.png",
            panel=PANELS.drawn,
            allow_missing=True,
        ),
        data=expand(
            "results/{screen}/figures/{panel}.csv",
            panel=PANELS.drawn,
            allow_missing=True,
        ),
        tables=expand(
            "results/{screen}/benchmarks/{table}.parquet",
            table=benchmark_tables(config),
            allow_missing=True,
        ),
        matched="results/{screen}/annotations/matched.tsv",
        licences="results/{screen}/annotations/licences.tsv",
        alignment=branch(FROM_CELLS, then="results/{screen}/qc/alignment.parquet"),
        known_shifts=branch(FROM_CELLS, then="results/{screen}/qc/checks.parquet"),
        dropped=branch(FROM_CELLS, then="results/{screen}/qc/dropped.parquet"),
        feature_list=branch(FROM_CELLS, then="results/{screen}/manifest/features.tsv"),
        index=branch(FROM_CELLS, then="results/{screen}/shards/index.parquet"),
        splits=branch(FROM_CELLS, then="results/{screen}/shards/splits.parquet"),
        hits=branch(FROM_CELLS, then="results/{screen}/hits.parquet"),
        explorer=branch(FROM_CELLS, then="results/{screen}/explorer.html"),
        metrics=branch(
            FROM_CELLS,
            then=expand(
                "results/{screen}/models/{model}/{seed}/metrics.parquet",
                zip,
                **EMBEDDINGS.trained,
                allow_missing=True,
            ),
        ),
    output:
        html=report(
            "results/{screen}/report.html",
            caption="../report/report.rst",
            category="Report",
        ),
    log:
        "logs/{screen}/report.log",
    benchmark:
        "benchmarks/{screen}/report.tsv"
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=growing(4000),
        runtime=growing(30),
    params:
        screen=config["screen"],
        captions=PANELS.captions,
        left_out=PANELS.left_out,
        timings="benchmarks/{screen}",
    script:
        "../scripts/report.py"


# Without any output, as `plan`: it runs whenever it is asked for.
rule verify:
    """Compare every file of the run with the checksums that the rules wrote."""
    log:
        f"logs/{config['screen']['name']}/verify.log",
    conda:
        "../../envs/cpu.yaml"
    threads: 4
    resources:
        mem_mb=2000,
        runtime="720m",
    params:
        checksums=f"checksums/{config['screen']['name']}",
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
        timings=f"benchmarks/{config['screen']['name']}",
    script:
        "../scripts/print_resources.py"
