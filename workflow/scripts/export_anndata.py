from mcvae_ops.profiles.export import export_anndata
from mcvae_ops.workflow.job import run

run(export_anndata, snakemake)
