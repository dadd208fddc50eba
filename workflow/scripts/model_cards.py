from mcvae_ops.report.model_card import model_cards
from mcvae_ops.workflow.job import run

run(model_cards, snakemake, page=snakemake.config["repository_files"]["tables"])
