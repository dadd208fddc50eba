from mcvae_ops.cells.image_cells import check_labels
from mcvae_ops.workflow.job import run

run(check_labels, snakemake, archive=snakemake.config["archive"])
