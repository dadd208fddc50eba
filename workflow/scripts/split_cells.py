from mcvae_ops.cells.cell_tables import split_cells
from mcvae_ops.workflow.job import job, transfer

with job(snakemake):
    split_cells(
        feature_parts=snakemake.input.feature_parts,
        screen=snakemake.params.screen,
        archive=transfer(snakemake),
        cache=snakemake.params.cache,
        cells=snakemake.output.cells,
        features=snakemake.output.features,
    )
