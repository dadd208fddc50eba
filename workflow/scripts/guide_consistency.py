from mcvae_ops.benchmarks.guide_consistency import guide_consistency
from mcvae_ops.workflow.job import job

with job(snakemake):
    guide_consistency(
        guides=snakemake.input.guides,
        permutations=snakemake.params.permutations,
        seed=snakemake.params.seed,
        benchmark=snakemake.output.benchmark,
    )
