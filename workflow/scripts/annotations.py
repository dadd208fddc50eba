from mcvae_ops.archive.annotations.annotation_tables import annotations
from mcvae_ops.workflow.job import run

run(
    annotations,
    snakemake,
    archive=snakemake.config["archive"],
    recorded=snakemake.config["repository_files"]["sources"],
)
