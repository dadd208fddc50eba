from mcvae_ops.tiles.summary import summarise_tiles
from mcvae_ops.workflow.job import run

run(summarise_tiles, snakemake)
