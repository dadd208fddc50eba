"""The panels: what each of them reads, and which of them a configuration can draw."""

from pathlib import Path

from mcvae_ops.archive.licences import is_non_commercial

__all__ = [
    "PANEL_TABLES", "benchmark_tables", "panel_settings", "panel_tables", "panel_values",
    "undrawable",
]  # fmt: skip

PROFILE_TABLES = ("complexes", "functions", "mitosis")
CELL_TABLES = ("covariates", "features", "guides")
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
    "figs1": ("guides",),
    "figs2": ("corrections",),
    "figqc1": ("alignment",),
    "figqc2": ("alignment", "checks"),
    "figqc3": ("overlays",),
    "figqc4": ("montage",),
    "figqc5": ("cells_per_tile",),
    "figqc6": ("samples", "metrics"),
}
# What a table cannot do without: a key of archive.annotations.
ANNOTATION_OF = {
    "complexes": "corum",
    "corrections": "corum",
    "functions": "functional_groups",
    "umap_guides": "functional_groups",
    "features": "functional_groups",
    "mitosis": "mitotic_factors",
    "mitosis_points": "mitotic_factors",
}
NETWORK_KEYS = (
    "network",
    "base_width",
    "input_size_px",
    "condition_on_batch",
    "sigma",
    "technical_latent",
    "label_weight",
)
QC_TABLES = ("alignment", "checks", "overlays", "montage", "cells_per_tile")
TRAINING_TABLES = ("samples", "metrics")
MAP_TABLES = ("umap_cells", "umap_guides")
OF_TRAININGS = TRAINING_TABLES + MAP_TABLES
OF_CELLS = {*CELL_TABLES, *QC_TABLES, *TRAINING_TABLES, "corrections", "umap_cells"}


def benchmark_tables(config: dict) -> list[str]:
    """Return the benchmark tables that can be made: their cells and their annotation are there."""
    corrected = ("corrections",) if config["profiles"]["corrections"] else ()
    of_cells = CELL_TABLES + corrected if config["source"] != "profiles" else ()
    # Complexes can be replaced by lists of pairs.
    pairs = [p for p in config["archive"]["annotations"]["pairs"] if not _forbidden(config, p)]
    return [
        table
        for table in PROFILE_TABLES + of_cells
        if not _forbidden(config, ANNOTATION_OF.get(table, "")) or (table == "complexes" and pairs)
    ]


def panel_settings(config: dict, panel: str) -> dict:
    """Return what of the configuration one panel reads, and no more.

    Were all settings given to all panels, a learning rate would draw every figure again.
    """
    of_screen = panel.startswith(("fig1", "fig4e", "figqc"))
    screen = config["screen"] if of_screen else _kept(config["screen"], ("words",))
    settings = {
        "profiles": _kept(config["profiles"], ("main_model", "compared_models")),
        "screen": screen,
    }
    if panel in ("fig1", "fig2a", "fig2c"):
        settings["models"] = {
            name: model | {"training": _kept(model["training"], NETWORK_KEYS)}
            for name, model in config["models"].items()
        }
    if panel == "fig1":
        settings["training"] = _kept(config["training"], NETWORK_KEYS)
    return settings


def panel_tables(panel: str, trainings: list[str]) -> list[str]:
    """Return the files below ``results/{screen}`` that one panel reads, named as their tables.

    Parameters
    ----------
    panel
        Name of a panel.
    trainings
        "model/seed" of those trainings of the judged models that are shown.
    """
    folders = {table: ["qc"] for table in QC_TABLES}
    folders |= {table: [f"models/{one}" for one in trainings] for table in TRAINING_TABLES}
    folders |= {table: [f"benchmarks/{one}" for one in trainings] for table in MAP_TABLES}
    return [
        f"{folder}/{table}.parquet"
        for table in PANEL_TABLES[panel]
        for folder in folders.get(table, ["benchmarks"])
    ]


def panel_values(folder: str | None, panel: str) -> list[str]:
    """Return the files of the paper's numbers that one panel overlays: fig2_x.tsv for fig2a."""
    files = sorted(Path(folder).glob("fig*_*.tsv")) if folder else []
    return [str(file) for file in files if panel.startswith(file.name.split("_")[0])]


def undrawable(config: dict) -> dict[str, str]:
    """Return the panels that cannot be drawn, and why."""
    reasons = {}
    for panel, tables in PANEL_TABLES.items():
        for table in tables:
            reason = _forbidden(config, ANNOTATION_OF.get(table, ""))
            if config["source"] == "profiles" and table in OF_CELLS:
                reason = "source is profiles, which has no cells"
            if table in ("alignment", "overlays") and not config["alignment"]["measure"]:
                reason = "alignment.measure is empty: no channel is shifted"
            if table == "corrections" and not config["profiles"]["corrections"]:
                reason = "profiles.corrections is empty"
            if reason:
                reasons[panel] = reason
    return reasons


def _kept(section: dict, keys: tuple[str, ...]) -> dict:
    return {key: section[key] for key in keys if key in section}


def _forbidden(config: dict, source: str) -> str:
    """Say why an annotation cannot be used; nothing if it can."""
    if source in ANNOTATION_OF.values() and config["archive"]["annotations"][source] is None:
        return f"archive.annotations.{source} is null"
    if config["commercial_use"] and is_non_commercial(source):
        return f"commercial_use is true and {source} is for non-commercial use only"
    return ""
