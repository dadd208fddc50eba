"""What the rules and scripts need of Snakemake; the only module that knows it."""

import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.logging import logger as terminal
from threadpoolctl import threadpool_limits

from mcvae_ops.archive.licences import is_non_commercial
from mcvae_ops.configuration import check_configuration, local_paths
from mcvae_ops.errors import InputError
from mcvae_ops.screen import tile_numbers

__all__ = ["Names", "growing", "job", "local_paths", "read_configuration", "select", "without"]

BASELINES = ("cellprofiler", "random")
PROFILE_TABLES = ("complexes", "functions", "mitosis")
CELL_TABLES = ("covariates", "features")
PANEL_TABLES = {
    "fig1": (),
    "fig2a": ("complexes",),
    "fig2b": ("complexes",),
    "fig2c": ("complexes",),
    "fig3a": ("umap_cells",),
    "fig3b": ("covariates",),
    "fig4a": ("umap_guides",),
    "fig4b": ("functions",),
    "fig4c": ("functions",),
    "fig4d": ("features",),
    "fig4e": ("features",),
    "fig5a": ("mitosis_points",),
    "fig5b": ("mitosis_points",),
    "fig5c": ("mitosis", "mitosis_points"),
    "figqc1": ("alignment",),
    "figqc2": ("alignment", "checks"),
    "figqc3": ("overlays",),
    "figqc4": ("montage",),
    "figqc5": ("cells_per_tile",),
}
NETWORK_KEYS = ("network", "base_width", "input_size_px", "condition_on_batch", "sigma")
QC_TABLES = ("alignment", "checks", "overlays", "montage", "cells_per_tile")


def read_configuration(config: dict, schema: str) -> dict:
    """Check the configuration; a mistake ends Snakemake with one sentence and no traceback."""
    try:
        return check_configuration(config, Path(schema))
    except InputError as error:
        raise WorkflowError(str(error)) from None


def select(section: dict, *keys: str) -> dict:
    """Keep some keys of a section, so that a job runs again only for what it reads."""
    return {key: section[key] for key in keys}


def without(section: dict, *keys: str) -> dict:
    """Drop some keys of a section, as `select` keeps some."""
    return {key: value for key, value in section.items() if key not in keys}


def growing(first: int) -> Callable:
    """Amount of a resource (mem_mb, runtime in minutes): doubled with each further attempt."""

    def amount(wildcards, attempt: int) -> int:
        return first * 2 ** (attempt - 1)

    return amount


class Names:
    """The names of a run; wildcard values are keyword arguments for ``expand(..., zip, **values)``.

    The configuration fixes all of them, so no rule has to wait to learn the names of its inputs.

    Attributes
    ----------
    annotations
        Paths and addresses of the annotations, None where a source is left out.
    channels
        In the order of the crops.
    batches, chunks, shards
        plate and well; and chunk of tiles; and arm (ntc, perturbed).
    embeddings
        model and seed of every embedding: trained models and baselines.
    judged, judged_profiles
        Embeddings of figures 3 and 4 (main model, CellProfiler); and the level of their profiles.
    main, significance
        "model/seed" of the UMAPs, and of the test of the guides' significance.
    level
        Profiles that functions are predicted from: "guides" or "genes".
    exports
        "model/seed/level" (guides, genes) of the tables that a run exports: those of `main`.
    tables
        Names of the benchmark tables.
    panels
        Panels that are drawn: those of complexes need an annotation that may be used.
    """

    def __init__(self, config: dict) -> None:
        screen, archive = config["screen"], config["archive"]
        from_cells = config["source"] != "profiles"
        self.from_cells = from_cells
        self.channels = [channel["name"] for channel in screen["channels"]]
        annotations = archive["annotations"]
        lists = [annotations[key] for key in ("corum", "functional_groups", "mitotic_factors")]
        self.annotations = [*lists, *annotations["pairs"].values()]

        n_tiles = len(tile_numbers(screen["tiles"]))
        n_chunks = -(-n_tiles // config["crop"]["tiles_per_chunk"])
        batches = [(p, w) for p, wells in screen["plates"].items() for w in wells]
        chunks = [(p, w, f"{k:03d}") for p, w in batches for k in range(n_chunks)]
        shards = [(*chunk, arm) for chunk in chunks for arm in ("ntc", "perturbed")]
        self.batches = _columns(batches, "plate", "well")
        self.chunks = _columns(chunks, "plate", "well", "chunk")
        self.shards = _columns(shards, "plate", "well", "chunk", "arm")

        seeds, main = config["training"]["seeds"], config["profiles"]["main_model"]
        trained = [(model, seed) for model in config["models"] for seed in seeds]
        baselines = [(model, 0) for model in BASELINES] if from_cells else []
        judged = [pair for pair in trained + baselines if pair[0] in (main, "cellprofiler")]
        self.level = level = config["benchmarks"]["functions"]["level"] + "s"
        self.trained = _columns(trained, "model", "seed")
        self.embeddings = _columns(trained + baselines, "model", "seed")
        self.judged = _columns(judged, "model", "seed")
        self.judged_profiles = _columns([(*p, level) for p in judged], "model", "seed", "level")
        judge = config["benchmarks"]["functions"]["significance"]
        self.main = f"{main}/{seeds[0]}"
        self.exports = [f"{self.main}/{table}" for table in ("guides", "genes") if from_cells]
        self.significance = f"{judge}/{0 if judge in BASELINES else seeds[0]}"
        self.panels = _drawn(config)
        self._config = config
        self.tables = PROFILE_TABLES + (CELL_TABLES if from_cells else ())

    def panel_settings(self, wildcards) -> dict:
        """Function of a parameter: what of the configuration one panel reads, and no more.

        Were all settings given to all panels, a learning rate would draw every figure again.
        """
        config, panel = self._config, wildcards.panel
        settings = {"profiles": select(config["profiles"], "main_model")}
        if panel.startswith(("fig1", "fig4e", "figqc")):
            settings["screen"] = config["screen"]
        if panel in ("fig1", "fig2a", "fig2c"):
            settings["models"] = {
                name: model | {"training": _kept(model["training"], NETWORK_KEYS)}
                for name, model in config["models"].items()
            }
        if panel == "fig1":
            settings["training"] = _kept(config["training"], NETWORK_KEYS)
        return settings

    def panel_tables(self, wildcards) -> dict[str, str]:
        """Input function: the tables that one panel reads, by name."""
        folders = {
            table: "qc" if table in QC_TABLES else "benchmarks"
            for table in PANEL_TABLES[wildcards.panel]
        }
        return {
            table: f"results/{wildcards.screen}/{folder}/{table}.parquet"
            for table, folder in folders.items()
        }


def _kept(section: dict, keys: tuple[str, ...]) -> dict:
    return {key: section[key] for key in keys if key in section}


def _drawn(config: dict) -> list[str]:
    """Return the panels, without those of complexes where CORUM's licence forbids its use."""
    panels = config["figures"]["panels"]
    if not (config["commercial_use"] and is_non_commercial("corum")):
        return panels
    drawn = [panel for panel in panels if PANEL_TABLES[panel] != ("complexes",)]
    if left_out := [panel for panel in panels if panel not in drawn]:
        terminal.warning(
            f"commercial_use is true, and CORUM is for non-commercial use only: "
            f"left out of this run are its complexes and {', '.join(left_out)}."
        )
    return drawn


def _columns(rows: list[tuple], *names: str) -> dict[str, list]:
    return {name: [row[k] for row in rows] for k, name in enumerate(names)}


@contextmanager
def job(snakemake) -> Iterator[None]:
    """Log to the rule's log file, keep to its threads, and end a user's mistake in one sentence."""
    logging.basicConfig(
        level=logging.INFO,
        format="%(asctime)s %(name)s: %(message)s",
        filename=snakemake.log[0],
        filemode="w",
        force=True,
    )
    logging.captureWarnings(True)
    logger = logging.getLogger(__name__)
    place = (os.environ.get(name, "none") for name in ("SLURM_JOB_ID", "CUDA_VISIBLE_DEVICES"))
    logger.info("%d threads, SLURM job %s, CUDA_VISIBLE_DEVICES %s", snakemake.threads, *place)
    try:
        with threadpool_limits(snakemake.threads):
            yield
    except InputError as error:
        logger.error("%s", error)
        sys.exit(1)
    except Exception:
        logger.exception("%s failed", snakemake.rule)
        raise
