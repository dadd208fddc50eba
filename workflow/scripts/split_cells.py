from mcvae_ops.cells.cell_tables import split_cells
from mcvae_ops.workflow.job import run

# What changes no result is no param of the rule: a change runs no finished job again.
run(split_cells, snakemake, archive=snakemake.config["archive"])
