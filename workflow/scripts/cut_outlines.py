from mcvae_ops.cells.masked_crops import cut_outlines
from mcvae_ops.workflow.job import run

run(cut_outlines, snakemake, archive=snakemake.config["archive"])
