"""What the rules and scripts need of Snakemake; the only module that knows it."""

import errno
import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.logging import logger as terminal
from threadpoolctl import threadpool_limits

from mcvae_ops.errors import InputError
from mcvae_ops.screen import tile_numbers
from mcvae_ops.workflow.configuration import check_configuration, local_paths
from mcvae_ops.workflow.panel_inputs import (
    benchmark_tables,
    panel_settings,
    panel_tables,
    panel_values,
    undrawable,
    wanted_panels,
)
from mcvae_ops.workflow.panels import PANELS
from mcvae_ops.workflow.targets import targets_text

__all__ = [
    "Names", "growing", "job", "local_paths", "read_configuration", "say_targets", "select",
    "transfer", "where_it_runs", "without",
]  # fmt: skip

BASELINES = ("cellprofiler", "random")
DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


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


def transfer(snakemake) -> dict:
    """Return how files are fetched, for a script; no parameter of its rule.

    More streams or patience bring the same files: a change must not run a finished job again.
    """
    return select(snakemake.config["archive"], "streams", "retries", "timeout_s", "keep_raw")


def where_it_runs(snakemake) -> dict:
    """Return the settings of `training` that change no weight; no parameter of a rule, either."""
    return select(snakemake.config["training"], "device", "checkpoint_minutes")


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
    channels, recorded, stained
        In the order of the crops: their names; and the file and place of each; and its stain. What
        only pictures show, such as the colour, is no reason to crop again.
    batches, chunks, shards
        plate and well; and chunk of tiles; and arm (ntc, perturbed).
    embeddings
        model and seed of every embedding: trained models and baselines.
    embedding, n_embedding_parts
        Whether cells are embedded "whole" or in "parts", and in how many.
    judged_models
        Trained models of figures 3, 4 and 5: the main one, then those compared with it.
    judged, judged_profiles
        Embeddings of figures 3 and 4 (theirs, CellProfiler); and the level of their profiles.
    shown, main, significance
        "model/seed" of the UMAPs and reconstructions of the judged models; of what is exported (the
        first of them); and of the test of the guides' significance.
    is_trained
        Whether the latter is a model that was trained, and no baseline.
    level
        Profiles that functions are predicted from: "guides" or "genes".
    exports
        "model/seed/level" (guides, genes) of the tables that a run exports: those of `main`.
    tables
        Names of the benchmark tables that can be made.
    panels, left_out
        Panels of the configuration that are drawn; and of the others why not, by panel.
    drawable, captions
        Panels that can be asked for; and the caption of every panel, by its name.
    """

    def __init__(self, config: dict) -> None:
        screen, archive = config["screen"], config["archive"]
        from_cells = config["source"] != "profiles"
        self.from_cells = from_cells
        channels, place = screen["channels"], ("name", "group", "index")
        self.channels = [channel["name"] for channel in channels]
        self.recorded = [select(channel, *place) for channel in channels]
        self.stained = [select(channel, *place, "stain") for channel in channels]
        annotations = archive["annotations"]
        lists = [source for key, source in annotations.items() if key != "pairs"]
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
        self.judged_models = [main, *config["profiles"]["compared_models"]]
        trained = [(model, seed) for model in config["models"] for seed in seeds]
        baselines = [(model, 0) for model in BASELINES] if from_cells else []
        compared = (*self.judged_models, "cellprofiler")
        judged = [pair for pair in trained + baselines if pair[0] in compared]
        self.level = level = config["benchmarks"]["functions"]["level"] + "s"
        self.n_embedding_parts = config["profiles"]["embedding_jobs"]
        self.embedding = "whole" if self.n_embedding_parts == 1 else "parts"
        self.trained = _columns(trained, "model", "seed")
        self.embeddings = _columns(trained + baselines, "model", "seed")
        self.judged = _columns(judged, "model", "seed")
        self.judged_profiles = _columns([(*p, level) for p in judged], "model", "seed", "level")
        judge = config["benchmarks"]["functions"]["significance"]
        self.shown = [f"{model}/{seeds[0]}" for model in self.judged_models]
        self.main = self.shown[0]
        self.exports = [f"{self.main}/{table}" for table in ("guides", "genes") if from_cells]
        self.significance = f"{judge}/{0 if judge in BASELINES else seeds[0]}"
        self._config = config
        self.is_trained = judge not in BASELINES
        self.tables = benchmark_tables(config)
        self.captions = {name: panel.caption for name, panel in PANELS.items()}
        reasons, wanted = undrawable(config), wanted_panels(config)
        self.drawable = [panel for panel in PANELS if panel not in reasons]
        self.left_out = {panel: reasons[panel] for panel in wanted if panel in reasons}
        self.panels = [panel for panel in wanted if panel in self.drawable]
        if not self.panels:
            raise WorkflowError("configuration key figures.panels: none of them can be drawn.")
        for reason in dict.fromkeys(self.left_out.values()):
            panels = ", ".join(p for p, why in self.left_out.items() if why == reason)
            terminal.warning(f"Left out of this run, as {reason}: {panels}.")

    def panel_settings(self, wildcards) -> dict:
        """Function of a parameter: what of the configuration one panel reads."""
        return panel_settings(self._config, wildcards.panel)

    def panel_tables(self, wildcards) -> list[str]:
        """Input function: the tables that one panel reads."""
        tables = panel_tables(wildcards.panel, self.shown)
        return [f"results/{wildcards.screen}/{file}" for file in tables]

    def panel_values(self, wildcards) -> list[str]:
        """Input function: the files of the paper's numbers that one panel overlays."""
        return panel_values(self._config["figures"]["published_values"], wildcards.panel)


def _columns(rows: list[tuple], *names: str) -> dict[str, list]:
    return {name: [row[k] for row in rows] for k, name in enumerate(names)}


def say_targets(workflow, screen: str) -> None:
    """Say what one can ask for, and end Snakemake, if it was called without any argument."""
    if len(sys.argv) > 1:
        return
    rules = [
        (rule.name, rule.docstring or "", list(map(str, rule.output))) for rule in workflow.rules
    ]
    print(targets_text(rules, screen))
    sys.exit()


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
    except OSError as error:
        if error.errno not in DISK_ERRORS:
            logger.exception("%s failed", snakemake.rule)
            raise
        place = error.filename or Path.cwd()
        logger.error("%s: %s; free some space, or run elsewhere (snakemake --directory).",
                     place, os.strerror(error.errno))  # fmt: skip
        sys.exit(1)
    except Exception:
        logger.exception("%s failed", snakemake.rule)
        raise
