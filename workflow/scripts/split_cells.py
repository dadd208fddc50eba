from mcvae_ops.archive.cells import split_cells
from mcvae_ops.workflow import job, transfer

with job(snakemake):
    split_cells(
        feature_parts=snakemake.input.feature_parts,
        screen=snakemake.params.screen,
        archive=transfer(snakemake),
        cache=snakemake.params.cache,
        cells=snakemake.output.cells,
        features=snakemake.output.features,
    )
