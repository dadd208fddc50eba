from mcvae_ops.tiles.summary import summarise_tiles
from mcvae_ops.workflow.job import job

with job(snakemake):
    summarise_tiles(
        alignments=snakemake.input.alignments,
        dropped=snakemake.input.dropped,
        checks=snakemake.input.checks,
        overlays=snakemake.input.overlays,
        alignment_table=snakemake.output.alignment_table,
        dropped_table=snakemake.output.dropped_table,
        checks_table=snakemake.output.checks_table,
        overlays_table=snakemake.output.overlays_table,
    )
