from mcvae_ops.benchmarks.cell_neighbours import cell_neighbours
from mcvae_ops.workflow.job import run

run(cell_neighbours, snakemake)
