from mcvae_ops.models.safetensors_files import export_weights
from mcvae_ops.workflow.job import run

run(export_weights, snakemake)
