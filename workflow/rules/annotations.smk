"""
Annotations: what is known of the genes, from CORUM, pair lists and gene lists.

INPUTS
    the files of archive.annotations                  paths or addresses
    the genes of the screen                           library, cells, labels or profiles
OUTPUTS
    results/{screen}/annotations/read/*.parquet       tidy tables, as read
    results/{screen}/annotations/licences.tsv         what was used, under which licence
    results/{screen}/annotations/*.parquet            these tables, in the names of the screen
    results/{screen}/annotations/matched.tsv          how much of each list the screen knows
"""


rule annotations:
    """Read every annotation into a tidy table; note the licences."""
    input:
        annotation_files(config["archive"]["annotations"]),
    output:
        tables=[
            "results/{screen}/annotations/read/complexes.parquet",
            "results/{screen}/annotations/read/pairs.parquet",
            "results/{screen}/annotations/read/functional_groups.parquet",
            "results/{screen}/annotations/read/mitotic_factors.parquet",
            "results/{screen}/annotations/read/wider_mitotic_factors.parquet",
            "results/{screen}/annotations/read/chromosome_arms.parquet",
            "results/{screen}/annotations/read/aliases.parquet",
        ],
        licences="results/{screen}/annotations/licences.tsv",
    log:
        "logs/{screen}/annotations.log",
    benchmark:
        "benchmarks/{screen}/annotations.tsv"
    priority: 100
    retries: 3
    localrule: True
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        sources=config["archive"]["annotations"],
        organism=config["screen"]["organism"],
        commercial_use=config["commercial_use"],
    script:
        "../scripts/annotations.py"


# Tiles and segmentations wait for it: a list that does not fit is told before hours of images.
rule match_annotations:
    """Count how many symbols of each list the library of the screen knows."""
    input:
        library=branch(
            config["source"],
            cases={
                "simulated": ["results/{screen}/study/library.csv"],
                **dict.fromkeys(
                    ("archive", "crops", "embeddings"),
                    # Of cells on images, the labels tell the genes before cells are looked for.
                    (
                        ["results/{screen}/manifest/genes.parquet"]
                        if ON_IMAGES
                        else expand(
                            "results/{screen}/cells/{plate}.parquet",
                            plate=PLACES.plates,
                            allow_missing=True,
                        )
                    ),
                ),
                "profiles": expand(
                    "results/{screen}/profiles/{model}/{seed}/genes.parquet",
                    zip,
                    **EMBEDDINGS.all,
                    allow_missing=True,
                ),
            },
        ),
        tables=rules.annotations.output.tables,
    output:
        annotations=[
            "results/{screen}/annotations/complexes.parquet",
            "results/{screen}/annotations/pairs.parquet",
            "results/{screen}/annotations/functional_groups.parquet",
            "results/{screen}/annotations/mitotic_factors.parquet",
            "results/{screen}/annotations/wider_mitotic_factors.parquet",
            "results/{screen}/annotations/chromosome_arms.parquet",
        ],
        matched="results/{screen}/annotations/matched.tsv",
    log:
        "logs/{screen}/match_annotations.log",
    benchmark:
        "benchmarks/{screen}/match_annotations.tsv"
    priority: 100
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    script:
        "../scripts/match_annotations.py"
