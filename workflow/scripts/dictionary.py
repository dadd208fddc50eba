from mcvae_ops.report.data_dictionary import dictionary
from mcvae_ops.workflow.job import run

run(dictionary, snakemake, page=snakemake.config["repository_files"]["tables"])
