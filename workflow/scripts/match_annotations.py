from mcvae_ops.archive.annotations.library_match import match_annotations
from mcvae_ops.workflow.job import run

run(match_annotations, snakemake)
