from mcvae_ops.archive.annotations import annotations
from mcvae_ops.workflow.job import job, transfer

with job(snakemake):
    annotations(
        sources=snakemake.params.sources,
        commercial_use=snakemake.params.commercial_use,
        archive=transfer(snakemake),
        recorded=snakemake.input.recorded,
        complexes=snakemake.output.complexes,
        pairs=snakemake.output.pairs,
        functional_groups=snakemake.output.functional_groups,
        mitotic_factors=snakemake.output.mitotic_factors,
        wider_mitotic_factors=snakemake.output.wider_mitotic_factors,
        licences=snakemake.output.licences,
    )
