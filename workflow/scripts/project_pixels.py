from mcvae_ops.training.untrained import project_pixels
from mcvae_ops.workflow.job import run

run(project_pixels, snakemake)
