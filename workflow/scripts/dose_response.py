from mcvae_ops.benchmarks.doses.dose_response import dose_response
from mcvae_ops.workflow.job import run

run(dose_response, snakemake)
