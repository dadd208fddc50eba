from mcvae_ops.shards.statistics import shard_statistics
from mcvae_ops.workflow.job import run

run(shard_statistics, snakemake)
