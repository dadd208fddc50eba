from mcvae_ops.tiles.consensus import plate_shifts
from mcvae_ops.workflow.job import job, transfer

with job(snakemake):
    plate_shifts(
        files=snakemake.input.files,
        screen=snakemake.params.screen,
        alignment=snakemake.params.alignment,
        archive=transfer(snakemake),
        plate=snakemake.wildcards.plate,
        cache=snakemake.params.cache,
        consensus=snakemake.output.consensus,
        checks=snakemake.output.checks,
        overlay=snakemake.output.overlay,
    )
