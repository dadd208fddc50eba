from mcvae_ops.benchmarks.claims import claims
from mcvae_ops.workflow import job

with job(snakemake):
    claims(
        tables=snakemake.input.tables,
        main_model=snakemake.params.main_model,
        shifting_group=snakemake.params.shifting_group,
        novel_group=snakemake.params.novel_group,
        claims=snakemake.output.claims,
    )
