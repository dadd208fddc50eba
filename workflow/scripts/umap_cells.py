from mcvae_ops.benchmarks.umap import umap_cells
from mcvae_ops.workflow.job import run

run(umap_cells, snakemake)
