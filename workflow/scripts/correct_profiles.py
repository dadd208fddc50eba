from mcvae_ops.profiles.correct import correct_profiles
from mcvae_ops.workflow.job import job

with job(snakemake):
    correct_profiles(
        index=snakemake.input.index,
        splits=snakemake.input.splits,
        embedding=snakemake.input.embedding,
        corrections=snakemake.params.corrections,
        corrected_guides=snakemake.output.corrected_guides,
        corrected_genes=snakemake.output.corrected_genes,
    )
