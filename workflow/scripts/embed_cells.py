from mcvae_ops.training.embed import embed_cells
from mcvae_ops.workflow.job import run

# What changes no result is no param of the rule: a change runs no finished job again.
run(embed_cells, snakemake, training=snakemake.config["training"])
