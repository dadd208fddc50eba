"""
Figures: every panel of the paper, drawn from its table.

INPUTS
    results/{screen}/benchmarks/*.parquet
    figures.published_values                         the paper's numbers, where they are overlaid
OUTPUTS
    results/{screen}/figures/{panel}.{pdf,svg,png}   the panel
    results/{screen}/figures/{panel}.csv             every number in it
"""


rule draw_figure:
    """Draw one panel."""
    input:
        tables=PANELS.tables,
        published=PANELS.published,
    output:
        pdf="results/{screen}/figures/{panel}.pdf",
        svg="results/{screen}/figures/{panel}.svg",
        png=report(
            "results/{screen}/figures/{panel}.png",
            caption="../report/figure.rst",
            category="Figures",
            labels={"panel": "{panel}"},
        ),
        csv="results/{screen}/figures/{panel}.csv",
    log:
        "logs/{screen}/draw_figure/{panel}.log",
    benchmark:
        "benchmarks/{screen}/draw_figure/{panel}.tsv"
    wildcard_constraints:
        panel="|".join(PANELS.drawable),
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        settings=PANELS.settings,
    script:
        "../scripts/draw_figure.py"


# `snakemake fig2a` draws one panel.
for panel in PANELS.drawable:

    rule:
        name:
            panel
        input:
            expand(f"results/{SCREEN}/figures/{panel}.{{kind}}", kind=FIGURE_FILES),
