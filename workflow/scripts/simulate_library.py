from mcvae_ops.simulate.library import simulate_library
from mcvae_ops.workflow.job import job

with job(snakemake):
    simulate_library(
        simulate=snakemake.params.simulate,
        screen=snakemake.params.screen,
        library=snakemake.output.library,
        corum=snakemake.output.corum,
        functional_groups=snakemake.output.functional_groups,
        mitotic_factors=snakemake.output.mitotic_factors,
        truth=snakemake.output.truth,
    )
