from mcvae_ops.benchmarks.covariates.covariate_prediction import covariates
from mcvae_ops.workflow.job import job

with job(snakemake):
    covariates(
        index=snakemake.input.index,
        splits=snakemake.input.splits,
        embeddings=snakemake.input.embeddings,
        screen=snakemake.params.screen,
        settings=snakemake.params.settings,
        seed=snakemake.params.seed,
        benchmark=snakemake.output.benchmark,
    )
