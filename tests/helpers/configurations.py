"""The configurations of the repository, as a run reads them."""

from pathlib import Path

from snakemake.utils import update_config

from mcvae_ops.workflow.configuration import check_configuration, read_yaml
from mcvae_ops.workflow.overlays import lay_over
from tests.conftest import ROOT

DEFAULTS = ROOT / "config/defaults.yaml"
SCHEMA = ROOT / "workflow/schemas/config.schema.yaml"


def merged(*files: str) -> dict:
    """What Snakemake hands over for these files after --configfile, such as "dcvae"."""
    config: dict = {}
    for file in files:
        update_config(config, read_yaml(ROOT / f"config/{file}.yaml"))
    return config


def whole(config: dict) -> dict:
    """The configuration with the defaults below, not yet checked."""
    return lay_over(read_yaml(DEFAULTS), config, read_yaml(SCHEMA))


def as_file(config: dict) -> dict:
    """The whole configuration as a file: the models of the defaults that it lacks are null."""
    models = dict.fromkeys(read_yaml(DEFAULTS)["models"]) | config["models"]
    return config | {"models": models}


def checked(config: dict) -> dict:
    """The configuration that the rules see."""
    return check_configuration(config, DEFAULTS, SCHEMA, ROOT)


def tables_of_the_paper(shared: Path) -> dict:
    """Overlay of funk2022 and published: where its annotations and profiles are."""
    published, annotations = shared / "data/published", shared / "data/annotations"
    pairs = ("Reactome", "HuMAP", "SIGNOR", "StringDB")
    return {
        "archive": {
            "profiles": {
                name: {"table": str(published / f"{file}.parquet")}
                for name, file in (
                    ("genes", "gene_embedding_run_44m9h8fu"),
                    ("guide_significance", "guide_significance_cellprofiler"),
                )
            },
            "annotations": {
                "corum": str(annotations / "CORUM_clusters.tsv"),
                "pairs": {name: str(annotations / f"{name}.txt") for name in pairs},
                "functional_groups": str(published / "functional_groups_894.tsv"),
                "mitotic_factors": str(published / "mitotic_factors_146.tsv"),
                "wider_mitotic_factors": str(published / "cell_cycle_factors_221.tsv"),
            },
        }
    }
