from mcvae_ops.profiles.published_profiles import random_profiles
from mcvae_ops.workflow.job import run

run(random_profiles, snakemake)
