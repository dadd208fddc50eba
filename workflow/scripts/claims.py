from mcvae_ops.benchmarks.claims import claims
from mcvae_ops.workflow.job import job

with job(snakemake):
    claims(
        tables=snakemake.input.tables,
        main_model=snakemake.params.main_model,
        compared_models=snakemake.params.compared_models,
        shifting_groups=snakemake.params.shifting_groups,
        novel_groups=snakemake.params.novel_groups,
        claims=snakemake.output.claims,
    )
