from mcvae_ops.benchmarks.integration.batch_integration import batch_integration
from mcvae_ops.workflow.job import run

run(batch_integration, snakemake)
