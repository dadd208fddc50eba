from mcvae_ops.benchmarks.umap import umap_guides
from mcvae_ops.workflow.job import job

with job(snakemake):
    umap_guides(
        profiles=snakemake.input.profiles,
        groups=snakemake.input.groups,
        significance=snakemake.input.significance,
        settings=snakemake.params.settings,
        seed=snakemake.params.seed,
        coordinates=snakemake.output.coordinates,
    )
