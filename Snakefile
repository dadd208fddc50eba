from mcvae_ops.workflow.job import say_targets

if not workflow.overwrite_configfiles:

    configfile: "config/config.yaml"


module mcvae:
    snakefile:
        "workflow/Snakefile"
    config:
        config


use rule * from mcvae


say_targets(workflow, mcvae.config["screen"]["name"])
