from mcvae_ops.tiles.chunk import crop_chunk
from mcvae_ops.workflow.job import job, transfer

with job(snakemake):
    crop_chunk(
        files=snakemake.input.files,
        cells=snakemake.input.cells,
        consensus=snakemake.input.consensus,
        illumination=snakemake.input.illumination or None,
        screen=snakemake.params.screen,
        alignment=snakemake.params.alignment,
        crop=snakemake.params.crop,
        archive=transfer(snakemake),
        plate=snakemake.wildcards.plate,
        well=snakemake.wildcards.well,
        chunk=snakemake.wildcards.chunk,
        cache=snakemake.params.cache,
        ntc=snakemake.output.ntc,
        ntc_index=snakemake.output.ntc_index,
        perturbed=snakemake.output.perturbed,
        perturbed_index=snakemake.output.perturbed_index,
        alignment_table=snakemake.output.alignment_table,
        dropped=snakemake.output.dropped,
    )
