from pathlib import Path

from mcvae_ops.archive.plan import plan
from mcvae_ops.workflow.job import job

with job(snakemake):
    plan(
        files=snakemake.input.files,
        left_out=snakemake.input.left_out,
        feature_parts=snakemake.input.feature_parts,
        settings=snakemake.params.settings,
        results=str(Path(snakemake.input.files).parents[1]),
        timings=snakemake.params.timings,
    )
