from mcvae_ops.training.embed import embed_cells
from mcvae_ops.workflow.job import job, where_it_runs

with job(snakemake):
    embed_cells(
        index=snakemake.input.index,
        weights=snakemake.input.weights,
        model=snakemake.params.model,
        training=snakemake.params.training | where_it_runs(snakemake),
        model_name=snakemake.wildcards.model,
        seed=int(snakemake.wildcards.seed),
        part=int(snakemake.params.part),
        parts=snakemake.params.parts,
        embedding=snakemake.output.embedding,
    )
