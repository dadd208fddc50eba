from mcvae_ops.training.stored_model import take_model
from mcvae_ops.workflow.job import run

# What changes no result is no param of the rule: a change runs no finished job again.
run(take_model, snakemake, training=snakemake.config["training"])
