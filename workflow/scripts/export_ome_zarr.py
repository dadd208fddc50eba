from mcvae_ops.shards.ome_zarr import export_ome_zarr
from mcvae_ops.workflow.job import job

with job(snakemake):
    export_ome_zarr(
        crops=snakemake.input.crops,
        channels=snakemake.params.channels,
        pixel_size_um=snakemake.params.pixel_size_um,
        zarr=snakemake.output.zarr,
    )
