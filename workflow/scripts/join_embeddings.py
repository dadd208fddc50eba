from mcvae_ops.training.embed import join_embeddings
from mcvae_ops.workflow.job import run

run(join_embeddings, snakemake)
