from mcvae_ops.profiles.published_profiles import published_profiles
from mcvae_ops.workflow.job import job

with job(snakemake):
    published_profiles(
        embedding=snakemake.input.embedding,
        significance=snakemake.input.significance,
        control=snakemake.params.control,
        columns=snakemake.params.columns,
        model=snakemake.params.model,
        seed=snakemake.params.seed,
        genes=snakemake.output.genes,
        mitotic_index=snakemake.output.mitotic_index,
        guide_significance=snakemake.output.guide_significance,
    )
