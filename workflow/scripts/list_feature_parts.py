from mcvae_ops.archive.dataverse import list_feature_parts
from mcvae_ops.workflow import job

with job(snakemake):
    list_feature_parts(
        dataset=snakemake.params.archive["dataset"],
        feature_parts=snakemake.output.feature_parts,
    )
