from mcvae_ops.tiles.summary import summarise_tiles
from mcvae_ops.workflow import job

with job(snakemake):
    summarise_tiles(
        alignments=snakemake.input.alignments,
        dropped=snakemake.input.dropped,
        alignment_table=snakemake.output.alignment_table,
        dropped_table=snakemake.output.dropped_table,
    )
