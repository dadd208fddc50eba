from mcvae_ops.shards.training_cells import training_cells
from mcvae_ops.workflow.job import run

run(training_cells, snakemake)
