from mcvae_ops.archive.biostudies import list_files
from mcvae_ops.workflow import job

with job(snakemake):
    list_files(
        study=snakemake.params.study,
        files=snakemake.params.files,
        screen=snakemake.params.screen,
        manifest=snakemake.output.manifest,
    )
