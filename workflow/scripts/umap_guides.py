from mcvae_ops.benchmarks.umap import umap_guides
from mcvae_ops.workflow.job import run

run(umap_guides, snakemake)
