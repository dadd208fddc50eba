from mcvae_ops.profiles.export import export_anndata
from mcvae_ops.workflow.job import job

with job(snakemake):
    export_anndata(
        guides=snakemake.input.guides,
        genes=snakemake.input.genes,
        maps=snakemake.input.maps,
        screen=snakemake.params.screen,
        guides_h5ad=snakemake.output.guides_h5ad,
        genes_h5ad=snakemake.output.genes_h5ad,
    )
