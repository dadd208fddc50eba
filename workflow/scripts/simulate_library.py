from mcvae_ops.simulate.library import simulate_library
from mcvae_ops.workflow.job import run

run(simulate_library, snakemake)
