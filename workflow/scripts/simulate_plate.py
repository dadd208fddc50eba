from mcvae_ops.simulate.plate import simulate_plate
from mcvae_ops.workflow.job import run

run(simulate_plate, snakemake)
