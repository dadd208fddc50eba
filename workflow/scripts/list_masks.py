from mcvae_ops.archive.image_files import list_masks
from mcvae_ops.workflow.job import run

run(list_masks, snakemake, archive=snakemake.config["archive"])
