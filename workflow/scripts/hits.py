from mcvae_ops.benchmarks.hits.hit_table import hits
from mcvae_ops.workflow.job import job

with job(snakemake):
    hits(
        index=snakemake.input.index,
        splits=snakemake.input.splits,
        embedding=snakemake.input.embedding,
        mitotic_index=snakemake.input.mitotic_index,
        complexes=snakemake.input.complexes,
        groups=snakemake.input.groups,
        trained=snakemake.params.trained,
        statistic=snakemake.params.statistic,
        permutations=snakemake.params.permutations,
        seed=snakemake.params.seed,
        hits=snakemake.output.hits,
        hits_text=snakemake.output.hits_text,
    )
