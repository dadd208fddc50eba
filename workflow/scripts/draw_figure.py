from mcvae_ops.figures.draw import draw_figure
from mcvae_ops.workflow.job import job

with job(snakemake):
    draw_figure(
        panel=snakemake.wildcards.panel,
        tables=snakemake.input.tables,
        published=snakemake.input.published,
        settings=snakemake.params.settings,
        pdf=snakemake.output.pdf,
        svg=snakemake.output.svg,
        png=snakemake.output.png,
        csv=snakemake.output.csv,
    )
