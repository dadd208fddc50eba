from mcvae_ops.profiles.correct import whitened_cellprofiler
from mcvae_ops.workflow.job import run

run(whitened_cellprofiler, snakemake)
