from mcvae_ops.benchmarks.counterfactuals import counterfactuals
from mcvae_ops.workflow.job import run

run(counterfactuals, snakemake)
