from mcvae_ops.shards.index import index_shards
from mcvae_ops.workflow.job import job

with job(snakemake):
    index_shards(
        shards=snakemake.input.shards,
        root=snakemake.params.root,
        index=snakemake.output.index,
    )
