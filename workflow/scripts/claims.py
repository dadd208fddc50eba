from mcvae_ops.benchmarks.claims import claims
from mcvae_ops.workflow.job import run

run(claims, snakemake)
