"""
Published profiles: the benchmarks start from a table of gene profiles that others made.

INPUTS
    archive.profiles                                           the published tables, paths or addresses
OUTPUTS
    results/{screen}/profiles/{model}/{seed}/genes.parquet     one row per gene
    results/{screen}/profiles/mitotic_index.parquet
    results/{screen}/profiles/guide_significance.parquet
"""


rule published_profiles:
    """Bring the published tables into the pipeline's form."""
    input:
        local_paths(profile_places(config["archive"]["profiles"]).values()),
    output:
        genes=f"results/{{screen}}/profiles/{EMBEDDINGS.main}/genes.parquet",
        mitotic_index="results/{screen}/profiles/mitotic_index.parquet",
        guide_significance="results/{screen}/profiles/guide_significance.parquet",
    log:
        "logs/{screen}/published_profiles.log",
    benchmark:
        "benchmarks/{screen}/published_profiles.tsv"
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=growing(2000),
        runtime=growing(10),
    params:
        profiles=config["archive"]["profiles"],
        control=config["screen"]["control"],
        model=config["profiles"]["main_model"],
        seed=config["training"]["seeds"][0],
    script:
        "../scripts/published_profiles.py"


rule random_profiles:
    """A random vector for every gene: what chance reaches."""
    input:
        genes=f"results/{{screen}}/profiles/{EMBEDDINGS.main}/genes.parquet",
    output:
        profiles="results/{screen}/profiles/random/0/genes.parquet",
    log:
        "logs/{screen}/random_profiles.log",
    benchmark:
        "benchmarks/{screen}/random_profiles.tsv"
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=growing(2000),
        runtime=growing(10),
    params:
        seed=config["benchmarks"]["seed"],
    script:
        "../scripts/random_profiles.py"
