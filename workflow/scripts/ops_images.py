from mcvae_ops.ops_standard.plate_images import ops_images
from mcvae_ops.workflow.job import run

# What changes no result is no param of the rule: a change runs no finished job again.
run(ops_images, snakemake, archive=snakemake.config["archive"])
