from mcvae_ops.embeddings.baselines import cellprofiler_pca
from mcvae_ops.workflow.job import run

run(cellprofiler_pca, snakemake)
