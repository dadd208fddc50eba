from mcvae_ops.training.launch import launch_training
from mcvae_ops.workflow.job import job, where_it_runs

with job(snakemake):
    launch_training(
        gpus=snakemake.resources.gpu,
        nodes=snakemake.resources.nodes,
        index=snakemake.input.index,
        splits=snakemake.input.splits,
        statistics=snakemake.input.statistics,
        model=snakemake.params.model,
        training=snakemake.params.training | where_it_runs(snakemake),
        model_name=snakemake.wildcards.model,
        seed=int(snakemake.wildcards.seed),
        channels=snakemake.params.channels,
        threads=snakemake.threads,
        memory_mb=snakemake.resources.mem_mb,
        checkpoint_dir=snakemake.params.checkpoint_dir,
        tensorboard_dir=snakemake.params.tensorboard_dir,
        weights=snakemake.output.weights,
        metrics=snakemake.output.metrics,
        samples=snakemake.output.samples,
    )
