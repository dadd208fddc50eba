from mcvae_ops.simulate.study import simulate_dataset
from mcvae_ops.workflow.job import job

with job(snakemake):
    simulate_dataset(
        parts=snakemake.input.parts,
        dataset=snakemake.output.dataset,
    )
