from mcvae_ops.shards.crop_examples import sample_crops
from mcvae_ops.workflow.job import job

with job(snakemake):
    sample_crops(
        index=snakemake.input.index,
        cells_per_tile=snakemake.output.cells_per_tile,
        montage=snakemake.output.montage,
    )
