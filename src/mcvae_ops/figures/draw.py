"""How a panel is drawn and saved: the same bytes on every run."""

import pkgutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from mcvae_ops.embeddings.spaces import SHORTCUTS
from mcvae_ops.figures import style
from mcvae_ops.figures.paper_values import read_published
from mcvae_ops.files import read_frame, whole_file, write_csv
from mcvae_ops.workflow.panels import PANELS, TABLES

# Dates and versions would make two runs differ.
METADATA = {"pdf": {"CreationDate": None}, "svg": {"Date": None}, "png": {"Software": None}}


def drawing_of(panel: str) -> Callable[[dict, dict, dict], tuple[Figure, pd.DataFrame]]:
    """Return the function that draws a panel from tables, the paper's numbers and settings."""
    return pkgutil.resolve_name(f"mcvae_ops.figures.{PANELS[panel].draw}")


def save_figure(figure: Figure, paths: Sequence[str]) -> None:
    """Save a figure in the format of each path's suffix, without a date.

    Axes are laid out for the first path alone: it costs as much as the drawing, and then all
    formats show the same.
    """
    for path in paths:
        kind = path.rsplit(".", 1)[-1]
        with whole_file(path) as partial:
            figure.savefig(partial, format=kind, metadata=METADATA[kind])
        figure.set_layout_engine("none")


def read_tables(paths: Sequence[str]) -> dict[str, pd.DataFrame]:
    """Return tables by name, those of several trainings below each other with a column ``model``.

    Rows of shortcuts are left out: no figure shows them.

    Parameters
    ----------
    paths
        Files named as their tables; those that each training has lie in ``{model}/{seed}/``.
    """
    parts: dict[str, list[pd.DataFrame]] = {}
    for path in map(Path, paths):
        table = read_frame(path)
        if "model" in table:  # shortcuts are for the score card
            table = table[~table["model"].isin(SHORTCUTS)]
        if TABLES[path.stem].per_training:
            table = table.assign(model=path.parts[-3])
        parts.setdefault(path.stem, []).append(table)
    return {name: pd.concat(tables, ignore_index=True) for name, tables in parts.items()}


def draw_figure(
    panel: str,
    tables: Sequence[str],
    published: Sequence[str],
    settings: dict,
    pdf: str,
    svg: str,
    png: str,
    csv: str,
) -> None:
    """Draw one panel and write every number in it.

    Parameters
    ----------
    panel
        A key of `PANELS`.
    tables
        Files of the tables that the entry of `PANELS` names; see `read_tables`.
    published
        Files of the paper's numbers; none where the screen is not the paper's.
    settings
        What of the configuration the panel reads (`mcvae_ops.workflow.panel_inputs`);
        ``screen.words`` is what the figure calls things (names along axes stay as they are).
    pdf, svg, png, csv
        Targets; text stays text in the first two.
    """
    frames = read_tables(tables)
    with style.house(settings["screen"]["words"]):
        figure, source = drawing_of(panel)(frames, read_published(published), settings)
        save_figure(figure, (png, pdf, svg))
    write_csv(source, csv, "%.6g")
