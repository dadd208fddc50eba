from mcvae_ops.report.resource_use import print_resources
from mcvae_ops.workflow.job import run

run(print_resources, snakemake)
