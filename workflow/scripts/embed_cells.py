from mcvae_ops.training.embed import embed_cells
from mcvae_ops.workflow import job

with job(snakemake):
    embed_cells(
        index=snakemake.input.index,
        weights=snakemake.input.weights,
        model_name=snakemake.wildcards.model,
        seed=int(snakemake.wildcards.seed),
        embedding=snakemake.output.embedding,
    )
