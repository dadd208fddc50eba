from mcvae_ops.report.explorer import explorer
from mcvae_ops.workflow.job import run

run(explorer, snakemake, archive=snakemake.config["archive"])
