from mcvae_ops.archive.biostudies import list_files
from mcvae_ops.workflow import job

with job(snakemake):
    list_files(
        study=snakemake.params.archive["study"],
        files=snakemake.params.archive["files"],
        screen=snakemake.params.screen,
        manifest=snakemake.output.manifest,
    )
