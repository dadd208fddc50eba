from mcvae_ops.workflow.configuration import store_configuration
from mcvae_ops.workflow.job import run

run(store_configuration, snakemake)
