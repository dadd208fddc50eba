from mcvae_ops.shards.index import index_cells
from mcvae_ops.workflow.job import run

run(index_cells, snakemake)
