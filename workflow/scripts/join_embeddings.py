from mcvae_ops.training.embed import join_embeddings
from mcvae_ops.workflow.job import job

with job(snakemake):
    join_embeddings(
        index=snakemake.input.index,
        parts=list(snakemake.input.parts),
        embedding=snakemake.output.embedding,
    )
