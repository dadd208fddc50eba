from mcvae_ops.ops_standard.example_images import ops_examples
from mcvae_ops.workflow.job import run

run(ops_examples, snakemake)
