from mcvae_ops.benchmarks.replicates.distance_ladder import distance_ladder
from mcvae_ops.workflow.job import run

run(distance_ladder, snakemake)
