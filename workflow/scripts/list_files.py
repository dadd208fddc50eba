from mcvae_ops.archive.biostudies import list_files
from mcvae_ops.workflow import job

with job(snakemake):
    list_files(
        study=snakemake.params.archive["study"],
        root=snakemake.params.archive["root"],
        files=snakemake.params.archive["files"],
        screen=snakemake.params.screen,
        archive=snakemake.params.archive,
        manifest=snakemake.output.manifest,
        left_out=snakemake.output.left_out,
    )
