from mcvae_ops.tiles.illumination import well_illumination
from mcvae_ops.workflow.job import job, transfer

with job(snakemake):
    well_illumination(
        files=snakemake.input.files,
        screen=snakemake.params.screen,
        settings=snakemake.params.settings,
        archive=transfer(snakemake),
        plate=snakemake.wildcards.plate,
        well=snakemake.wildcards.well,
        cache=snakemake.params.cache,
        light=snakemake.output.light,
    )
