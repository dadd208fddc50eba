from mcvae_ops.shards.crop_examples import sample_crops
from mcvae_ops.workflow.job import run

run(sample_crops, snakemake)
