from mcvae_ops.training.encoders import encode_cells
from mcvae_ops.workflow.job import run

run(encode_cells, snakemake)
