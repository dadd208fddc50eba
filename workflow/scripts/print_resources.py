from mcvae_ops.report.resources import print_resources
from mcvae_ops.workflow import job

with job(snakemake):
    print_resources(timings=snakemake.params.timings)
