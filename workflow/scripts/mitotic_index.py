from mcvae_ops.profiles.mitotic_index import mitotic_index
from mcvae_ops.workflow.job import job

with job(snakemake):
    mitotic_index(
        index=snakemake.input.index,
        splits=snakemake.input.splits,
        mitotic_index=snakemake.output.mitotic_index,
    )
