from mcvae_ops.benchmarks.corrections import corrections
from mcvae_ops.workflow.job import job

with job(snakemake):
    corrections(
        genes=snakemake.input.genes,
        corrected_genes=snakemake.input.corrected_genes,
        guides=snakemake.input.guides,
        corrected_guides=snakemake.input.corrected_guides,
        complexes=snakemake.input.complexes,
        rounds=snakemake.params.rounds,
        seed=snakemake.params.seed,
        benchmark=snakemake.output.benchmark,
    )
