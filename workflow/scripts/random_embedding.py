from mcvae_ops.embeddings.baselines import random_embedding
from mcvae_ops.workflow.job import run

run(random_embedding, snakemake)
