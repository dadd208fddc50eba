from mcvae_ops.profiles.correct import correct_profiles
from mcvae_ops.workflow.job import run

run(correct_profiles, snakemake)
