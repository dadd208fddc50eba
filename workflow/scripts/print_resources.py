from mcvae_ops.report.resource_use import print_resources
from mcvae_ops.workflow.job import job

with job(snakemake):
    print_resources(timings=snakemake.params.timings)
