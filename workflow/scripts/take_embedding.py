from mcvae_ops.embeddings.given_embedding import take_embedding
from mcvae_ops.workflow.job import run

run(take_embedding, snakemake)
