from mcvae_ops.archive.dataverse import list_feature_parts
from mcvae_ops.workflow.job import job, transfer

with job(snakemake):
    list_feature_parts(
        dataset=snakemake.params.place["dataset"],
        archive=transfer(snakemake),
        feature_parts=snakemake.output.feature_parts,
    )
