from mcvae_ops.features.baseline import random_embedding
from mcvae_ops.workflow import job

with job(snakemake):
    random_embedding(
        index=snakemake.input.index,
        latent=snakemake.params.latent,
        seed=snakemake.params.seed,
        embedding=snakemake.output.embedding,
    )
