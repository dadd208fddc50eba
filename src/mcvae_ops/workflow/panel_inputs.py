"""What each panel is given, and which panels a configuration can draw."""

from pathlib import Path

from mcvae_ops.archive.licences import is_non_commercial
from mcvae_ops.archive.table_address import named_fields
from mcvae_ops.workflow.names import without_features
from mcvae_ops.workflow.panels import BENCHMARKS, PANELS, TABLES
from mcvae_ops.workflow.shorthand import NO_IMAGES

__all__ = [
    "benchmark_tables", "card_tables", "panel_settings", "panel_tables", "panel_values",
    "undrawable", "wanted_panels",
]  # fmt: skip

ON_CARD = (  # benchmark tables of which a score card has rows
    "complexes", "functions", "mitosis", "covariates", "guides", "replicates", "power", "contents",
    "ladder", "cell_neighbours",
)  # fmt: skip
NETWORK_KEYS = (
    "network",
    "base_width",
    "input_size_px",
    "condition_on_batch",
    "sigma",
    "technical_latent",
    "label_weight",
)


def wanted_panels(config: dict) -> list[str]:
    """Return the panels that a configuration asks for, whether they can be drawn or not."""
    panels = config["figures"]["panels"]
    return list(PANELS) if panels == "all" else panels


def undrawable(config: dict) -> dict[str, str]:
    """Return the panels that cannot be drawn, and why."""
    missing, reasons = _missing(config), {}
    for name, panel in PANELS.items():
        of_tables = [need for table in panel.tables for need in TABLES[table].needs]
        unmet = [need for need in (*panel.needs, *of_tables) if need in missing]
        if unmet:
            reasons[name] = missing[unmet[0]]
    return reasons


def benchmark_tables(config: dict) -> list[str]:
    """Return the benchmark tables that can be made: their cells and their annotation are there."""
    missing = _missing(config)
    return [name for name, table in BENCHMARKS.items() if missing.keys().isdisjoint(table.needs)]


def card_tables(config: dict) -> list[str]:
    """Return the benchmark tables that can be made and that a score card reads."""
    missing = _missing(config)
    return [
        name
        for name, table in TABLES.items()
        if name in ON_CARD and missing.keys().isdisjoint(table.needs)
    ]


def panel_settings(config: dict, panel: str) -> dict:
    """Return what of the configuration one panel reads, and no more.

    Were all settings given to all panels, a learning rate would draw every figure again.
    """
    read = PANELS[panel].settings
    screen = config["screen"]
    settings = {
        "profiles": _part(config["profiles"], ("main_model", "compared_models")),
        "screen": screen if "screen" in read else _part(screen, ("words",)),
    }
    if "models" in read:
        settings["models"] = {
            name: model | {"training": _part(model["training"], NETWORK_KEYS)}
            for name, model in config["models"].items()
        }
    if "crop" in read:
        settings["crop"] = _part(config["crop"], ("size_px",))
    if "training" in read:
        settings["training"] = _part(config["training"], NETWORK_KEYS)
    return settings


def panel_tables(panel: str, trainings: list[str]) -> list[str]:
    """Return the files below ``results/{screen}`` that one panel reads, named as their tables.

    Parameters
    ----------
    panel
        Name of a panel.
    trainings
        "model/seed" of the first training of each model that the figures show.
    """
    paths = [str(Path(TABLES[name].folder, f"{name}.parquet")) for name in PANELS[panel].tables]
    # A table that all trainings share is named once.
    return list(dict.fromkeys(path.format(training=name) for path in paths for name in trainings))


def panel_values(folder: str | None, panel: str) -> list[str]:
    """Return the files of the paper's numbers that one panel overlays: fig2_x.tsv for fig2a."""
    files = sorted(Path(folder).glob("fig*_*.tsv")) if folder else []
    return [str(file) for file in files if panel.startswith(file.name.split("_")[0])]


def _part(section: dict, keys: tuple[str, ...]) -> dict:
    return {key: section[key] for key in keys if key in section}


def _missing(config: dict) -> dict[str, str]:
    """Return the needs of tables and panels that a run does not meet, and why."""
    annotations = config["archive"]["annotations"]
    missing = {}
    if config["commercial_use"]:
        for name in filter(is_non_commercial, [*annotations, *annotations["pairs"]]):
            missing[name] = f"commercial_use is true and {name} is for non-commercial use only"
    for name in annotations:
        if annotations[name] is None:
            missing[name] = f"archive.annotations.{name} is null"
    if missing.keys() >= {"corum", *annotations["pairs"]}:
        missing["pairs"] = "no list of pairs of genes can be used"
    if config["source"] == "profiles":
        missing["cells"] = "source is profiles, which has no cells"
        if config["screen"]["images"] == NO_IMAGES["screen"]["images"]:
            missing["images"] = "screen.images is not given"
        missing |= _missing_of_profiles(config["archive"]["profiles"])
    if config["source"] == "embeddings":
        missing["images"] = missing["trainings"] = "source is embeddings, which has no images"
        profiles = config["profiles"]
        for name in (profiles["main_model"], *profiles["compared_models"]):
            if "combined" in config["embeddings"][name]["spaces"]:
                missing["spaces"] = f"embeddings.{name}.spaces has one space, combined"
    has_cells = config["source"] != "profiles"
    if has_cells and "stage" not in named_fields([*config["cells"], *config["labels"]]):
        missing["stage"] = (
            "the configuration names no stage (cells.columns.stage, also of a column that is "
            "called stage, or {stage} in cells.table)"
        )
    if reason := without_features(config):
        missing["features"] = reason
        if config["benchmarks"]["functions"]["significance"] == "cellprofiler":
            missing["significance"] = f"{reason}, in which benchmarks.functions.significance tests"
    if config["source"] != "simulated":
        missing["truth"] = f"source is {config['source']}, in which nothing is planted"
    if config["benchmarks"]["doses"]["pattern"] is None:
        missing["doses"] = (
            "guides are no doses (no columns.dose, and benchmarks.doses.pattern is null)"
        )
    if not config["profiles"]["corrections"]:
        missing["corrections"] = "profiles.corrections is empty"
    if config["screen"]["well_grid"] is None:
        missing["well_grid"] = "screen.well_grid is null: places of tiles in the well are not known"
    if not config["alignment"]["measure"]:
        missing["shifts"] = "alignment.measure is empty: no channel is shifted"
    return missing


def _missing_of_profiles(profiles: dict) -> dict[str, str]:
    """Return what published profiles lack, and why; from cells, all of it is measured."""
    key, genes, missing = "archive.profiles", profiles["genes"], {}
    if profiles["guide_significance"] is None:
        missing["significance"] = f"{key}.guide_significance is null"
    if "mitotic_index" not in genes.get("columns", {}):
        missing["mitotic_index"] = f"{key}.genes.columns names no mitotic_index"
    if "combined" in genes.get("spaces", {}):
        missing["spaces"] = f"{key}.genes.spaces has one space, combined"
    return missing
