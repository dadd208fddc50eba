from mcvae_ops.benchmarks.replicates.power_curve import power_curve
from mcvae_ops.workflow.job import run

run(power_curve, snakemake, threads=snakemake.threads)
