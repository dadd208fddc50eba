from mcvae_ops.ops_standard.aggregated_data import ops_aggregated
from mcvae_ops.workflow.job import run

run(ops_aggregated, snakemake)
