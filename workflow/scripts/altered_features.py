from mcvae_ops.benchmarks.features.altered_features import altered_features
from mcvae_ops.workflow.job import run

run(altered_features, snakemake)
