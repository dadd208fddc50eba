from mcvae_ops.benchmarks.complexes.complex_retrieval import complexes
from mcvae_ops.workflow.job import run

run(complexes, snakemake)
