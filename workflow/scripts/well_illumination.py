from mcvae_ops.tiles.illumination import well_illumination
from mcvae_ops.workflow.job import run

# What changes no result is no param of the rule: a change runs no finished job again.
run(well_illumination, snakemake, archive=snakemake.config["archive"])
