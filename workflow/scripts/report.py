from mcvae_ops.report.build import report
from mcvae_ops.workflow.job import job

with job(snakemake):
    report(
        claims=snakemake.input.claims,
        figures=snakemake.input.figures,
        data=snakemake.input.data,
        tables=snakemake.input.tables,
        licences=snakemake.input.licences,
        alignment=snakemake.input.alignment,
        known_shifts=snakemake.input.known_shifts,
        dropped=snakemake.input.dropped,
        index=snakemake.input.index,
        splits=snakemake.input.splits,
        metrics=snakemake.input.metrics,
        explorer=snakemake.input.explorer,
        screen=snakemake.params.screen,
        captions=snakemake.params.captions,
        left_out=snakemake.params.left_out,
        timings=snakemake.params.timings,
        html=snakemake.output.html,
    )
