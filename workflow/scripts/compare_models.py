from mcvae_ops.evaluation.comparison_page import compare_models
from mcvae_ops.workflow.job import run

run(compare_models, snakemake)
