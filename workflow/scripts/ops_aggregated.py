from mcvae_ops.ops_standard.aggregated import ops_aggregated
from mcvae_ops.workflow.job import run

run(ops_aggregated, snakemake)
