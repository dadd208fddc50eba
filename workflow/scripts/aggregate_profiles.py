from mcvae_ops.profiles.aggregate import aggregate_profiles
from mcvae_ops.workflow.job import run

run(aggregate_profiles, snakemake)
