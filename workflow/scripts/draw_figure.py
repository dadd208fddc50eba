from mcvae_ops.figures.draw import draw_figure
from mcvae_ops.workflow.job import run

run(draw_figure, snakemake)
