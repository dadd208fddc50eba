from mcvae_ops.training.train import train_model
from mcvae_ops.workflow import job

with job(snakemake):
    train_model(
        index=snakemake.input.index,
        splits=snakemake.input.splits,
        model=snakemake.params.model,
        training=snakemake.params.training,
        model_name=snakemake.wildcards.model,
        seed=int(snakemake.wildcards.seed),
        channels=snakemake.params.channels,
        checkpoint_dir=snakemake.params.checkpoint_dir,
        weights=snakemake.output.weights,
        metrics=snakemake.output.metrics,
    )
