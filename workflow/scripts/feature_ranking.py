from mcvae_ops.benchmarks.features.feature_ranking import feature_ranking
from mcvae_ops.workflow.job import job

with job(snakemake):
    feature_ranking(
        index=snakemake.input.index,
        features=snakemake.input.features,
        groups=snakemake.input.groups,
        settings=snakemake.params.settings,
        benchmark=snakemake.output.benchmark,
    )
