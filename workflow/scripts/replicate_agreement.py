from mcvae_ops.benchmarks.replicates.replicate_agreement import replicate_agreement
from mcvae_ops.workflow.job import run

run(replicate_agreement, snakemake)
