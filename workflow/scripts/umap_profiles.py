from mcvae_ops.benchmarks.umap import umap_profiles
from mcvae_ops.workflow.job import job

with job(snakemake):
    umap_profiles(
        guides=snakemake.input.guides,
        genes=snakemake.input.genes,
        seed=snakemake.params.seed,
        coordinates=snakemake.output.coordinates,
    )
