from mcvae_ops.profiles.significance import guide_significance
from mcvae_ops.workflow.job import run

run(guide_significance, snakemake, threads=snakemake.threads)
