from mcvae_ops.archive.image_files import list_files
from mcvae_ops.workflow.job import job, transfer

with job(snakemake):
    list_files(
        study=snakemake.params.place["study"],
        root=snakemake.params.place["root"],
        files=snakemake.params.place["files"],
        screen=snakemake.params.screen,
        archive=transfer(snakemake),
        manifest=snakemake.output.manifest,
        left_out=snakemake.output.left_out,
    )
