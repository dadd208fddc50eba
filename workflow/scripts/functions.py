from mcvae_ops.benchmarks.functions.function_prediction import functions
from mcvae_ops.workflow.job import run

run(functions, snakemake)
