from mcvae_ops.ops_standard.perturbation_library import ops_library
from mcvae_ops.workflow.job import run

run(ops_library, snakemake)
