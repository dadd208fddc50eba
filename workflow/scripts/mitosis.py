from mcvae_ops.benchmarks.mitosis.mitotic_factors import mitosis
from mcvae_ops.workflow.job import job

with job(snakemake):
    mitosis(
        genes=snakemake.input.genes,
        mitotic_index=snakemake.input.mitotic_index,
        mitotic_factors=snakemake.input.mitotic_factors,
        wider_mitotic_factors=snakemake.input.wider_mitotic_factors,
        groups=snakemake.input.groups,
        settings=snakemake.params.settings,
        models=snakemake.params.models,
        benchmark=snakemake.output.benchmark,
        points=snakemake.output.points,
    )
