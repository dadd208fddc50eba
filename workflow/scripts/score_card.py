from mcvae_ops.evaluation.score_card import score_card
from mcvae_ops.workflow.job import run

run(score_card, snakemake)
