from mcvae_ops.report.build import report
from mcvae_ops.workflow.job import run

run(report, snakemake, architecture=snakemake.config["repository_files"]["architecture"])
