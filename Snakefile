from mcvae_ops.workflow.command_line import read_sections
from mcvae_ops.workflow.snakefile import check_files, check_targets, say_targets

# snakemake doctor --config look=ADDRESS needs no configuration of a screen: it writes one.
if "look" in config:

    include: "workflow/rules/doctor.smk"

else:

    # Without --configfile, the screen is the simulated one.
    if workflow.overwrite_configfiles:
        check_files(
            workflow.overwrite_configfiles,
            defaults=workflow.source_path("config/defaults.yaml"),
            schema=workflow.source_path("workflow/schemas/config.schema.yaml"),
        )
    else:

        configfile: workflow.source_path("config/config.yaml")

    read_sections(config, workflow.config_settings.config_args)

    # The workflow itself; a Snakefile of yours can use it in the same way.
    module mcvae:
        snakefile:
            "workflow/Snakefile"
        config:
            config

    use rule * from mcvae

    # `snakemake` alone says what one can ask for.
    say_targets(workflow, mcvae.SCREEN, mcvae.PANELS.drawable)
    check_targets(workflow, mcvae.PANELS)
