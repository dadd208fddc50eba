from mcvae_ops.shards.split import assign_splits
from mcvae_ops.workflow.job import job

with job(snakemake):
    assign_splits(
        index=snakemake.input.index,
        split=snakemake.params.split,
        splits=snakemake.output.splits,
    )
