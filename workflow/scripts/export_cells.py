from mcvae_ops.profiles.export import export_cells
from mcvae_ops.workflow.job import job

with job(snakemake):
    export_cells(
        index=snakemake.input.index,
        splits=snakemake.input.splits,
        embedding=snakemake.input.embedding,
        screen=snakemake.params.screen,
        plate=snakemake.wildcards.plate,
        well=snakemake.wildcards.well,
        h5ad=snakemake.output.h5ad,
    )
