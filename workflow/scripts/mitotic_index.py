from mcvae_ops.profiles.mitotic_index import mitotic_index
from mcvae_ops.workflow.job import run

run(mitotic_index, snakemake)
