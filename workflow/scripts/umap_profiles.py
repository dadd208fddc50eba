from mcvae_ops.benchmarks.umap import umap_profiles
from mcvae_ops.workflow.job import run

run(umap_profiles, snakemake)
