from mcvae_ops.embeddings.baselines import cellprofiler_pca
from mcvae_ops.workflow.job import job

with job(snakemake):
    cellprofiler_pca(
        index=snakemake.input.index,
        features=snakemake.input.features,
        components=snakemake.params.components,
        seed=snakemake.params.seed,
        embedding=snakemake.output.embedding,
    )
