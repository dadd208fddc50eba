"""
Masks that a screen comes with: where its cells are, or which pixels of a crop are the cell's.

INPUTS
    cells.masks, screen.outlines                             addresses
OUTPUTS
    results/{screen}/manifest/{masks,outlines}.parquet       one row per mask
    results/{screen}/manifest/{masks,outlines}_left_out.tsv  other files, counted by kind
"""


rule list_masks:
    """List the masks of the screen's tiles."""
    input:
        local_paths(
            [local_study(config["archive"]["root"]), config["archive"]["files"]]
        ),
    output:
        manifest="results/{screen}/manifest/{masks}.parquet",
        left_out="results/{screen}/manifest/{masks}_left_out.tsv",
    log:
        "logs/{screen}/list_masks/{masks}.log",
    benchmark:
        "benchmarks/{screen}/list_masks/{masks}.tsv"
    wildcard_constraints:
        masks="masks|outlines",
    retries: 3
    localrule: True
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=growing(4000),
        runtime=growing(60),
        archive_slots=1,
    params:
        archive=select(config["archive"], "root", "files"),
        screen=select(config["screen"], "plates", "tiles", "cut_px"),
        masks=lambda wildcards: MASKS[wildcards.masks],
    script:
        "../scripts/list_masks.py"
