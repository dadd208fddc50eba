"""
Simulated screen: a study with planted truth, written in the shape of the real archive.

OUTPUTS
    results/{screen}/study/Files/screenA/{plate}/      images, label images, genotype calls
    results/{screen}/study/S-SIM1.json                 the study and its list of files
    results/{screen}/study/dataset.json                the feature tables, measured from the images
    results/{screen}/study/annotations/                complexes, functional groups, mitotic factors
    results/{screen}/truth/                            what was planted; read by tests and by Fig. S6
    results/{screen}/benchmarks/truth.parquet          how well each space follows it
"""


include: "source_archive.smk"


rule simulate_library:
    """Draw the library, its annotations and the effect of every guide."""
    output:
        library="results/{screen}/study/library.csv",
        gene_ids="results/{screen}/study/gene_ids.tsv",
        corum="results/{screen}/study/annotations/corum_humanComplexes.txt",
        functional_groups="results/{screen}/study/annotations/functional_groups.tsv",
        mitotic_factors="results/{screen}/study/annotations/mitotic_factors.tsv",
        truth="results/{screen}/truth/effects.parquet",
    log:
        "logs/{screen}/simulate_library.log",
    benchmark:
        "benchmarks/{screen}/simulate_library.tsv"
    localrule: True
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=growing(1500),
        runtime=growing(10),
    params:
        simulate=select(config["simulate"], "seed", "library"),
        screen=select(CALLED, "control"),
    script:
        "../scripts/simulate_library.py"


rule simulate_plate:
    """Render the tiles of one plate, with label images and genotype calls."""
    input:
        truth="results/{screen}/truth/effects.parquet",
    output:
        images=directory("results/{screen}/study/Files/screenA/{plate}"),
        truth_cells="results/{screen}/truth/cells/{plate}.parquet",
        truth_tiles="results/{screen}/truth/tiles/{plate}.parquet",
    log:
        "logs/{screen}/simulate_plate/{plate}.log",
    benchmark:
        "benchmarks/{screen}/simulate_plate/{plate}.tsv"
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=growing(2000),
        runtime=growing(60),
    params:
        simulate=config["simulate"],
        screen=without(
            config["screen"],
            "name",
            "pixel_size_um",
            "projection",
            "words",
            "duplicates",
            "features",
            "mitotic",
            "outlines",
        )
        | {
            "channels": select_each(
                config["screen"]["channels"], "name", "group", "index", "stain"
            )
        }
        | GRID
        | CALLED,
        reference=config["alignment"]["reference"],
    script:
        "../scripts/simulate_plate.py"


rule simulate_study:
    """List the study as BioStudies does."""
    input:
        plates=expand(
            "results/{screen}/study/Files/screenA/{plate}",
            plate=PLACES.plates,
            allow_missing=True,
        ),
    output:
        study="results/{screen}/study/S-SIM1.json",
        file_list="results/{screen}/study/Files/S-SIM1.json",
    log:
        "logs/{screen}/simulate_study.log",
    benchmark:
        "benchmarks/{screen}/simulate_study.tsv"
    localrule: True
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=growing(1500),
        runtime=growing(10),
    params:
        screen=select(config["screen"], "name"),
    script:
        "../scripts/simulate_study.py"


rule measure_features:
    """Measure the cells of one well with cp-measure, standardised to its controls if it has any."""
    input:
        images="results/{screen}/study/Files/screenA/{plate}",
        consensus="results/{screen}/alignment/{plate}.consensus.parquet",
    output:
        interphase="results/{screen}/study/interphase-reclassified_cp_phenotype_normalized.parquet/{plate}_{well}.parquet",
        mitotic="results/{screen}/study/mitotic-reclassified_cp_phenotype_normalized.parquet/{plate}_{well}.parquet",
    log:
        "logs/{screen}/measure_features/{plate}/{well}.log",
    benchmark:
        "benchmarks/{screen}/measure_features/{plate}/{well}.tsv"
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=growing(2000),
        runtime=growing(120),
    params:
        screen=without(
            config["screen"],
            "name",
            "pixel_size_um",
            "plates",
            "well_grid",
            "words",
            "outlines",
        )
        | CHANNELS
        | CALLED,
        alignment=config["alignment"],
        bits=config["simulate"]["optics"]["bits"],
    script:
        "../scripts/measure_features.py"


rule simulate_dataset:
    """List the feature tables as Dataverse does."""
    input:
        parts=expand(
            "results/{screen}/study/{stage}-reclassified_cp_phenotype_normalized.parquet/{batch}.parquet",
            stage=["interphase", "mitotic"],
            batch=expand("{plate}_{well}", zip, **PLACES.wells),
            allow_missing=True,
        ),
    output:
        dataset="results/{screen}/study/dataset.json",
    log:
        "logs/{screen}/simulate_dataset.log",
    benchmark:
        "benchmarks/{screen}/simulate_dataset.tsv"
    localrule: True
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=growing(1500),
        runtime=growing(10),
    script:
        "../scripts/simulate_dataset.py"


rule planted_truth:
    """Fig. S6: how well each space follows the planted axes."""
    input:
        index="results/{screen}/shards/index.parquet",
        splits="results/{screen}/shards/splits.parquet",
        embeddings=expand(
            "results/{screen}/embeddings/{model}/{seed}.parquet",
            zip,
            **EMBEDDINGS.shown,
            allow_missing=True,
        ),
        effects="results/{screen}/truth/effects.parquet",
        planted=expand(
            "results/{screen}/truth/cells/{plate}.parquet",
            plate=config["screen"]["plates"],
            allow_missing=True,
        ),
    output:
        benchmark="results/{screen}/benchmarks/truth.parquet",
    log:
        "logs/{screen}/planted_truth.log",
    benchmark:
        "benchmarks/{screen}/planted_truth.tsv"
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=growing(4000),
        runtime=growing(60),
    params:
        seed=config["benchmarks"]["seed"],
    script:
        "../scripts/planted_truth.py"
