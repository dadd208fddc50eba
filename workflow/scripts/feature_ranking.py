from mcvae_ops.benchmarks.features.feature_ranking import feature_ranking
from mcvae_ops.workflow.job import run

run(feature_ranking, snakemake)
