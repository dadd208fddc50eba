from mcvae_ops.shards.statistics import shard_statistics
from mcvae_ops.workflow.job import job

with job(snakemake):
    shard_statistics(
        index=snakemake.input.index,
        splits=snakemake.input.splits,
        channels=snakemake.params.channels,
        statistics=snakemake.output.statistics,
    )
