from mcvae_ops.archive.annotations import annotations
from mcvae_ops.workflow.job import run

# What changes no result is no param of the rule: a change runs no finished job again.
run(annotations, snakemake, archive=snakemake.config["archive"])
