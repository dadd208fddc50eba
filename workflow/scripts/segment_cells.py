from mcvae_ops.cells.image_cells import segment_cells
from mcvae_ops.workflow.job import run

run(segment_cells, snakemake, archive=snakemake.config["archive"])
