from mcvae_ops.simulate.study import simulate_study
from mcvae_ops.workflow.job import run

run(simulate_study, snakemake)
