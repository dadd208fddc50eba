from mcvae_ops.cells.measure import measure_features
from mcvae_ops.workflow.job import run

run(measure_features, snakemake)
