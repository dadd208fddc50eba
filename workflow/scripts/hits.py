from mcvae_ops.benchmarks.hits.hit_table import hits
from mcvae_ops.workflow.job import run

run(hits, snakemake, threads=snakemake.threads)
