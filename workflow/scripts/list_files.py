from mcvae_ops.archive.image_files import list_files
from mcvae_ops.workflow.job import run

# What changes no result is no param of the rule: a change runs no finished job again.
run(list_files, snakemake, archive=snakemake.config["archive"])
