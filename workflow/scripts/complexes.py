from mcvae_ops.benchmarks.complexes import complexes
from mcvae_ops.workflow import job

with job(snakemake):
    complexes(
        genes=snakemake.input.genes,
        complexes=snakemake.input.complexes,
        pairs=snakemake.input.pairs,
        settings=snakemake.params.settings,
        seed=snakemake.params.seed,
        benchmark=snakemake.output.benchmark,
    )
