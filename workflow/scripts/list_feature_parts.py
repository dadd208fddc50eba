from mcvae_ops.cells.table_parts import list_feature_parts
from mcvae_ops.workflow.job import run

# What changes no result is no param of the rule: a change runs no finished job again.
run(list_feature_parts, snakemake, archive=snakemake.config["archive"])
