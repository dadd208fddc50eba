"""
Profiles: cells become guides, guides become genes.

INPUTS
    results/{screen}/shards/{index,splits}.parquet
    results/{screen}/embeddings/{model}/{seed}.parquet
OUTPUTS
    results/{screen}/profiles/{model}/{seed}/{guides,genes}.parquet   and .h5ad
    results/{screen}/profiles/{model}/{seed}/umap.parquet             their map in each space
    results/{screen}/profiles/{model}/{seed}/corrected_{guides,genes}.parquet  without the batch
    results/{screen}/profiles/guide_significance.parquet              which guides do anything
    results/{screen}/profiles/mitotic_index.parquet                   of genes and control guides
    results/{screen}/embeddings/{model}/{seed}/{plate}/{well}.h5ad    cells, on demand (target: cells_h5ad)
"""


rule aggregate_profiles:
    """Mean per guide, unweighted mean of a gene's guides, minus controls."""
    input:
        index="results/{screen}/shards/index.parquet",
        splits="results/{screen}/shards/splits.parquet",
        embedding="results/{screen}/embeddings/{model}/{seed}.parquet",
    output:
        guides="results/{screen}/profiles/{model}/{seed}/guides.parquet",
        genes="results/{screen}/profiles/{model}/{seed}/genes.parquet",
    log:
        "logs/{screen}/aggregate_profiles/{model}/{seed}.log",
    benchmark:
        "benchmarks/{screen}/aggregate_profiles/{model}/{seed}.tsv"
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=growing(4000),
        runtime=growing(60),
    script:
        "../scripts/aggregate_profiles.py"


rule correct_profiles:
    """The same, with the batch taken out of the cells, by each of the corrections."""
    input:
        index="results/{screen}/shards/index.parquet",
        splits="results/{screen}/shards/splits.parquet",
        embedding="results/{screen}/embeddings/{model}/{seed}.parquet",
    output:
        corrected_guides="results/{screen}/profiles/{model}/{seed}/corrected_guides.parquet",
        corrected_genes="results/{screen}/profiles/{model}/{seed}/corrected_genes.parquet",
    log:
        "logs/{screen}/correct_profiles/{model}/{seed}.log",
    benchmark:
        "benchmarks/{screen}/correct_profiles/{model}/{seed}.tsv"
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=growing(8000),
        runtime=growing(60),
    params:
        corrections=config["profiles"]["corrections"],
    script:
        "../scripts/correct_profiles.py"


rule guide_significance:
    """Permutation test of every guide against the control cells."""
    input:
        index="results/{screen}/shards/index.parquet",
        splits="results/{screen}/shards/splits.parquet",
        embedding=f"results/{{screen}}/embeddings/{EMBEDDINGS.significance}.parquet",
    output:
        significance="results/{screen}/profiles/guide_significance.parquet",
    log:
        "logs/{screen}/guide_significance.log",
    benchmark:
        "benchmarks/{screen}/guide_significance.tsv"
    conda:
        "../../envs/cpu.yaml"
    threads: 4
    resources:
        mem_mb=growing(8000),
        runtime=growing(360),
    params:
        trained=EMBEDDINGS.is_trained(config["benchmarks"]["functions"]["significance"]),
        statistic=config["profiles"]["significance_statistic"],
        permutations=config["profiles"]["permutations"],
        seed=config["benchmarks"]["seed"],
    script:
        "../scripts/guide_significance.py"


rule mitotic_index:
    """Change of the mitotic fraction against the controls."""
    input:
        index="results/{screen}/shards/index.parquet",
        splits="results/{screen}/shards/splits.parquet",
    output:
        mitotic_index="results/{screen}/profiles/mitotic_index.parquet",
    log:
        "logs/{screen}/mitotic_index.log",
    benchmark:
        "benchmarks/{screen}/mitotic_index.tsv"
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=growing(6000),
        runtime=growing(60),
    script:
        "../scripts/mitotic_index.py"


rule umap_profiles:
    """UMAP of all guides and of all genes, in each space."""
    input:
        guides="results/{screen}/profiles/{model}/{seed}/guides.parquet",
        genes="results/{screen}/profiles/{model}/{seed}/genes.parquet",
    output:
        coordinates="results/{screen}/profiles/{model}/{seed}/umap.parquet",
    log:
        "logs/{screen}/umap_profiles/{model}/{seed}.log",
    benchmark:
        "benchmarks/{screen}/umap_profiles/{model}/{seed}.tsv"
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=growing(4000),
        runtime=growing(60),
    params:
        seed=config["benchmarks"]["seed"],
    script:
        "../scripts/umap_profiles.py"


rule export_anndata:
    """Export guides or genes as AnnData, with what the table of hits knows of them."""
    input:
        profiles="results/{screen}/profiles/{model}/{seed}/{level}.parquet",
        maps="results/{screen}/profiles/{model}/{seed}/umap.parquet",
        # Hits are those of the main model's first training.
        hits=branch(
            lambda wildcards: f"{wildcards.model}/{wildcards.seed}" == EMBEDDINGS.main,
            then="results/{screen}/hits.parquet",
        ),
    output:
        h5ad="results/{screen}/profiles/{model}/{seed}/{level}.h5ad",
    log:
        "logs/{screen}/export_anndata/{model}/{seed}/{level}.log",
    benchmark:
        "benchmarks/{screen}/export_anndata/{model}/{seed}/{level}.tsv"
    wildcard_constraints:
        level="guides|genes",
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=growing(4000),
        runtime=growing(60),
    params:
        cells="all",
    script:
        "../scripts/export_anndata.py"


rule export_cell_set:
    """Export the guides or genes of some of the cells as AnnData, such as held-out ones."""
    input:
        profiles="results/{screen}/profiles/{model}/{seed}/{level}.parquet",
    output:
        h5ad="results/{screen}/profiles/{model}/{seed}/{level}.{cells}.h5ad",
    log:
        "logs/{screen}/export_cell_set/{model}/{seed}/{level}.{cells}.log",
    benchmark:
        "benchmarks/{screen}/export_cell_set/{model}/{seed}/{level}.{cells}.tsv"
    wildcard_constraints:
        level="guides|genes",
        cells="train|test|held_out_guide|held_out_gene",
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=growing(4000),
        runtime=growing(60),
    script:
        "../scripts/export_anndata.py"


rule export_cells:
    """Export the embedded cells of one well as AnnData."""
    input:
        index="results/{screen}/shards/index.parquet",
        splits="results/{screen}/shards/splits.parquet",
        embedding="results/{screen}/embeddings/{model}/{seed}.parquet",
    output:
        h5ad="results/{screen}/embeddings/{model}/{seed}/{plate}/{well}.h5ad",
    log:
        "logs/{screen}/export_cells/{model}/{seed}/{plate}/{well}.log",
    benchmark:
        "benchmarks/{screen}/export_cells/{model}/{seed}/{plate}/{well}.tsv"
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=growing(8000),
        runtime=growing(60),
    script:
        "../scripts/export_cells.py"


rule cells_h5ad:
    """Every well of the main model's first training as AnnData."""
    input:
        expand(
            f"results/{SCREEN}/embeddings/{EMBEDDINGS.main}/{{plate}}/{{well}}.h5ad",
            zip,
            **PLACES.wells,
        ),
