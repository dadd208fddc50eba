from mcvae_ops.shards.split import assign_splits
from mcvae_ops.workflow.job import run

run(assign_splits, snakemake)
