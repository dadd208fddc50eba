from mcvae_ops.profiles.export import export_cells
from mcvae_ops.workflow.job import run

run(export_cells, snakemake)
