from mcvae_ops.profiles.aggregate import aggregate_profiles
from mcvae_ops.workflow.job import job

with job(snakemake):
    aggregate_profiles(
        index=snakemake.input.index,
        splits=snakemake.input.splits,
        embedding=snakemake.input.embedding,
        guides=snakemake.output.guides,
        genes=snakemake.output.genes,
    )
