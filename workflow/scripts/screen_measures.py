from mcvae_ops.evaluation.screen_measures import screen_measures
from mcvae_ops.workflow.job import run

run(screen_measures, snakemake)
