from mcvae_ops.benchmarks.contents import contents
from mcvae_ops.workflow.job import run

run(contents, snakemake)
