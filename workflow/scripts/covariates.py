from mcvae_ops.benchmarks.covariates.covariate_prediction import covariates
from mcvae_ops.workflow.job import run

run(covariates, snakemake, threads=snakemake.threads)
