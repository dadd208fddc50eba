from mcvae_ops.ops_standard.plate_images import ops_plate
from mcvae_ops.workflow.job import run

run(ops_plate, snakemake)
