from mcvae_ops.workflow.job import run
from mcvae_ops.workflow.ledger import verify

run(verify, snakemake, threads=snakemake.threads)
