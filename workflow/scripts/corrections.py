from mcvae_ops.benchmarks.corrections import corrections
from mcvae_ops.workflow.job import run

run(corrections, snakemake)
