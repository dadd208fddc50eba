from mcvae_ops.profiles.significance import guide_significance
from mcvae_ops.workflow import job

with job(snakemake):
    guide_significance(
        index=snakemake.input.index,
        embedding=snakemake.input.embedding,
        permutations=snakemake.params.permutations,
        seed=snakemake.params.seed,
        significance=snakemake.output.significance,
    )
