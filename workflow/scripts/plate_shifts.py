from mcvae_ops.tiles.consensus import plate_shifts
from mcvae_ops.workflow.job import run

# What changes no result is no param of the rule: a change runs no finished job again.
run(plate_shifts, snakemake, archive=snakemake.config["archive"])
