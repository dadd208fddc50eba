from mcvae_ops.archive.plan import plan
from mcvae_ops.workflow.job import run

run(plan, snakemake)
