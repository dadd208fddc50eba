from mcvae_ops.simulate.feature_parts import measure_features
from mcvae_ops.workflow.job import run

run(measure_features, snakemake)
