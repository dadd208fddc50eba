from mcvae_ops.profiles.published_profiles import published_profiles
from mcvae_ops.workflow.job import run

run(published_profiles, snakemake, archive=snakemake.config["archive"])
