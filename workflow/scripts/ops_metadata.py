from mcvae_ops.ops_standard.collection_metadata import ops_metadata
from mcvae_ops.workflow.job import run

run(ops_metadata, snakemake)
