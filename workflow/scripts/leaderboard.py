from mcvae_ops.report.leaderboard_page import leaderboard
from mcvae_ops.workflow.job import run

run(leaderboard, snakemake)
