from mcvae_ops.embeddings.baselines import random_embedding
from mcvae_ops.workflow.job import job

with job(snakemake):
    random_embedding(
        index=snakemake.input.index,
        latent=snakemake.params.latent,
        seed=snakemake.params.seed,
        embedding=snakemake.output.embedding,
    )
