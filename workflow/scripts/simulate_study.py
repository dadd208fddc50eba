from mcvae_ops.simulate.study import simulate_study
from mcvae_ops.workflow.job import job

with job(snakemake):
    simulate_study(
        screen=snakemake.params.screen,
        plates=snakemake.input.plates,
        study=snakemake.output.study,
        file_list=snakemake.output.file_list,
    )
