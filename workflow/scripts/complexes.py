from mcvae_ops.benchmarks.complexes.complex_retrieval import complexes
from mcvae_ops.workflow.job import job

with job(snakemake):
    complexes(
        genes=snakemake.input.genes,
        complexes=snakemake.input.complexes,
        pairs=snakemake.input.pairs,
        settings=snakemake.params.settings,
        seed=snakemake.params.seed,
        benchmark=snakemake.output.benchmark,
    )
