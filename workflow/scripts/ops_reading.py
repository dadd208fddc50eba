from mcvae_ops.ops_standard.collection_reading import ops_reading
from mcvae_ops.workflow.job import run

run(ops_reading, snakemake, configuration=snakemake.config)
