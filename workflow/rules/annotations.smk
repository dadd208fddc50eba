"""
Annotations: what is known of the genes, from CORUM, pair lists and gene lists.

INPUTS
    the files of archive.annotations                  paths or addresses
OUTPUTS
    results/{screen}/annotations/*.parquet            tidy tables
    results/{screen}/annotations/licences.tsv         what was used, under which licence
"""


rule annotations:
    """Read every annotation into a tidy table; note the licences."""
    input:
        annotation_files(config["archive"]["annotations"]),
        recorded=workflow.source_path("../../resources/SOURCES.tsv"),
    output:
        complexes="results/{screen}/annotations/complexes.parquet",
        pairs="results/{screen}/annotations/pairs.parquet",
        functional_groups="results/{screen}/annotations/functional_groups.parquet",
        mitotic_factors="results/{screen}/annotations/mitotic_factors.parquet",
        wider_mitotic_factors="results/{screen}/annotations/wider_mitotic_factors.parquet",
        chromosome_arms="results/{screen}/annotations/chromosome_arms.parquet",
        licences="results/{screen}/annotations/licences.tsv",
    log:
        "logs/{screen}/annotations.log",
    benchmark:
        "benchmarks/{screen}/annotations.tsv"
    retries: 3
    localrule: True
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        sources=config["archive"]["annotations"],
        commercial_use=config["commercial_use"],
    script:
        "../scripts/annotations.py"
