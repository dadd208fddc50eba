from mcvae_ops.benchmarks.guide_consistency import guide_consistency
from mcvae_ops.workflow.job import run

run(guide_consistency, snakemake)
