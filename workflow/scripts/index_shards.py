from mcvae_ops.shards.index import index_shards
from mcvae_ops.workflow.job import run

run(index_shards, snakemake)
