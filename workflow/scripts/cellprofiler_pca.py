from mcvae_ops.features.baseline import cellprofiler_pca
from mcvae_ops.workflow import job

with job(snakemake):
    cellprofiler_pca(
        index=snakemake.input.index,
        features=snakemake.input.features,
        components=snakemake.params.components,
        seed=snakemake.params.seed,
        embedding=snakemake.output.embedding,
    )
