from mcvae_ops.benchmarks.functions.function_prediction import functions
from mcvae_ops.workflow.job import job

with job(snakemake):
    functions(
        profiles=snakemake.input.profiles,
        groups=snakemake.input.groups,
        significance=snakemake.input.significance,
        settings=snakemake.params.settings,
        seed=snakemake.params.seed,
        benchmark=snakemake.output.benchmark,
    )
