from mcvae_ops.benchmarks.truth.planted_truth import planted_truth
from mcvae_ops.workflow.job import run

run(planted_truth, snakemake)
