from mcvae_ops.training.launch import launcher
from mcvae_ops.workflow.job import run

# What changes no result is no param of the rule: a change runs no finished job again.
run(
    launcher(gpus=snakemake.resources.gpu, nodes=snakemake.resources.nodes),
    snakemake,
    training=snakemake.config["training"],
    threads=snakemake.threads,
    memory_mb=snakemake.resources.mem_mb,
)
