from mcvae_ops.embeddings.shortcuts import shortcut_embedding
from mcvae_ops.workflow.job import run

run(shortcut_embedding, snakemake)
