from mcvae_ops.report.explorer import explorer
from mcvae_ops.workflow.job import job

with job(snakemake):
    explorer(
        index=snakemake.input.index,
        guides=snakemake.input.guides,
        genes=snakemake.input.genes,
        maps=snakemake.input.maps,
        groups=snakemake.input.groups,
        screen=snakemake.params.screen,
        crops_per_gene=snakemake.params.crops_per_gene,
        html=snakemake.output.html,
        pictures=snakemake.output.pictures,
    )
