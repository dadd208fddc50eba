from mcvae_ops.shards.ome_zarr import export_ome_zarr
from mcvae_ops.workflow.job import run

run(export_ome_zarr, snakemake)
