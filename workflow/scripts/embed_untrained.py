from mcvae_ops.training.untrained import embed_untrained
from mcvae_ops.workflow.job import run

run(embed_untrained, snakemake)
