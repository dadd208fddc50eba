from mcvae_ops.tiles.given_crops import gather_crops
from mcvae_ops.workflow.job import run

# What changes no result is no param of the rule: a change runs no finished job again.
run(gather_crops, snakemake, archive=snakemake.config["archive"])
