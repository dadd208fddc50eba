from mcvae_ops.simulate.study import simulate_dataset
from mcvae_ops.workflow.job import run

run(simulate_dataset, snakemake)
