from mcvae_ops.tiles.chunk import crop_chunk
from mcvae_ops.workflow.job import run

# What changes no result is no param of the rule: a change runs no finished job again.
run(crop_chunk, snakemake, archive=snakemake.config["archive"])
