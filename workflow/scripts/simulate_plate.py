from mcvae_ops.simulate.plate import simulate_plate
from mcvae_ops.workflow.job import job

with job(snakemake):
    simulate_plate(
        simulate=snakemake.params.simulate,
        screen=snakemake.params.screen,
        reference=snakemake.params.reference,
        plate=snakemake.wildcards.plate,
        truth=snakemake.input.truth,
        images=snakemake.output.images,
        truth_cells=snakemake.output.truth_cells,
        truth_tiles=snakemake.output.truth_tiles,
    )
