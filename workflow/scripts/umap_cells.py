from mcvae_ops.benchmarks.umap import umap_cells
from mcvae_ops.workflow.job import job

with job(snakemake):
    umap_cells(
        index=snakemake.input.index,
        embedding=snakemake.input.embedding,
        screen=snakemake.params.screen,
        settings=snakemake.params.settings,
        seed=snakemake.params.seed,
        coordinates=snakemake.output.coordinates,
    )
