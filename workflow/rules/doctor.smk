"""
Doctor: from an address to the configuration of a screen.

INPUTS
    look=ADDRESS, tables=ADDRESS, name=NAME           on the command line, after --config; the last two are optional
OUTPUTS
    config/{name}.yaml                                the configuration, each value below its reason
    config/{name}.md                                  a page that explains each value
    config/{name}_plate_map.csv                       to be filled in, where no table says what was done to the wells
"""

from mcvae_ops.doctor.listing import name_of_look
from mcvae_ops.workflow.snakefile import check_look

check_look(config)
LOOK_NAME = str(config.get("name") or name_of_look(config["look"]))


rule doctor:
    """Write the configuration of what lies at an address, and a page of reasons."""
    output:
        configuration=f"config/{LOOK_NAME}.yaml",
        page=f"config/{LOOK_NAME}.md",
    log:
        f"logs/{LOOK_NAME}/doctor.log",
    localrule: True
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=4000,
        runtime="60m",
    params:
        look=str(config["look"]),
        look_tables=config.get("tables"),
        name=LOOK_NAME,
        defaults=workflow.source_path("../../config/defaults.yaml"),
        schema=workflow.source_path("../schemas/config.schema.yaml"),
        plate_map=f"config/{LOOK_NAME}_plate_map.csv",
    script:
        "../scripts/doctor.py"
