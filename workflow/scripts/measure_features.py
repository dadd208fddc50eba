from mcvae_ops.simulate.feature_parts import measure_features
from mcvae_ops.workflow.job import job

with job(snakemake):
    measure_features(
        screen=snakemake.params.screen,
        alignment=snakemake.params.alignment,
        bits=snakemake.params.bits,
        plate=snakemake.wildcards.plate,
        well=snakemake.wildcards.well,
        images=snakemake.input.images,
        consensus=snakemake.input.consensus,
        interphase=snakemake.output.interphase,
        mitotic=snakemake.output.mitotic,
    )
