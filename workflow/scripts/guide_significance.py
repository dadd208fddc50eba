from mcvae_ops.profiles.significance import guide_significance
from mcvae_ops.workflow.job import job

with job(snakemake):
    guide_significance(
        index=snakemake.input.index,
        splits=snakemake.input.splits,
        embedding=snakemake.input.embedding,
        trained=snakemake.params.trained,
        statistic=snakemake.params.statistic,
        permutations=snakemake.params.permutations,
        seed=snakemake.params.seed,
        significance=snakemake.output.significance,
    )
