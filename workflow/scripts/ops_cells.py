from mcvae_ops.ops_standard.cell_data import ops_cells
from mcvae_ops.workflow.job import run

run(ops_cells, snakemake)
