from mcvae_ops.archive.biostudies import list_files
from mcvae_ops.workflow import job

with job(snakemake):
    list_files(
        study=snakemake.params.study,
        root=snakemake.params.root,
        files=snakemake.params.files,
        screen=snakemake.params.screen,
        archive=snakemake.params.archive,
        manifest=snakemake.output.manifest,
        left_out=snakemake.output.left_out,
    )
