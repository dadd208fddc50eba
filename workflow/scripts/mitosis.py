from mcvae_ops.benchmarks.mitosis.mitotic_factors import mitosis
from mcvae_ops.workflow.job import run

run(mitosis, snakemake)
