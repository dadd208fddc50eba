"""Every panel by name, and how a panel is saved: the same bytes on every run."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from mcvae_ops.errors import InputError
from mcvae_ops.figures import (
    fig1_design,
    fig2_complexes,
    fig3_covariates,
    fig4_features,
    fig4_functions,
    fig5_mitosis,
    figs_guides_corrections,
    qc_alignment,
    qc_crops,
    qc_reconstructions,
    qc_wells,
    style,
    umaps,
)
from mcvae_ops.figures.paper_values import read_published
from mcvae_ops.files import whole_file
from mcvae_ops.workflow.panels import OF_TRAININGS

PANELS: dict[str, Callable[[dict, dict, dict], tuple[Figure, pd.DataFrame]]] = {
    "fig1": fig1_design.fig1,
    "fig2a": fig2_complexes.fig2a,
    "fig2b": fig2_complexes.fig2b,
    "fig2c": fig2_complexes.fig2c,
    "fig3a": umaps.fig3a,
    "fig3b": fig3_covariates.fig3b,
    "fig4a": umaps.fig4a,
    "fig4b": fig4_functions.fig4b,
    "fig4c": fig4_functions.fig4c,
    "fig4d": fig4_features.fig4d,
    "fig4e": fig4_features.fig4e,
    "fig5a": fig5_mitosis.fig5a,
    "fig5b": fig5_mitosis.fig5b,
    "fig5c": fig5_mitosis.fig5c,
    "figs1": figs_guides_corrections.figs1,
    "figs2": figs_guides_corrections.figs2,
    "figqc1": qc_wells.figqc1,
    "figqc2": qc_alignment.figqc2,
    "figqc3": qc_alignment.figqc3,
    "figqc4": qc_crops.figqc4,
    "figqc5": qc_wells.figqc5,
    "figqc6": qc_reconstructions.figqc6,
}
# Dates and versions would make two runs differ.
METADATA = {"pdf": {"CreationDate": None}, "svg": {"Date": None}, "png": {"Software": None}}


def save_figure(figure: Figure, path: str) -> None:
    """Save a figure in the format of the path's suffix, without a date."""
    kind = path.rsplit(".", 1)[-1]
    with whole_file(path) as partial:
        figure.savefig(partial, format=kind, metadata=METADATA[kind])


def read_tables(paths: Sequence[str]) -> dict[str, pd.DataFrame]:
    """Return tables by name, those of several trainings below each other with a column ``model``.

    Parameters
    ----------
    paths
        Files named as their tables; those that each training has lie in ``{model}/{seed}/``.
    """
    parts: dict[str, list[pd.DataFrame]] = {}
    for path in map(Path, paths):
        table = pd.read_parquet(path)
        if path.stem in OF_TRAININGS:
            table = table.assign(model=path.parts[-3])
        parts.setdefault(path.stem, []).append(table)
    return {name: pd.concat(found, ignore_index=True) for name, found in parts.items()}


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
        Files of the tables that the panel's module names at its top; see `read_tables`.
    published
        Files of the paper's numbers; none where the screen is not the paper's.
    settings
        The sections ``screen``, ``models``, ``training`` and ``profiles`` of the configuration;
        ``screen.words`` is what the figure calls things (names along axes stay as they are).
    pdf, svg, png, csv
        Targets; text stays text in the first two.
    """
    if panel not in PANELS:
        raise InputError(
            where="configuration key figures.panels",
            found=repr(panel),
            expected=f"one of {', '.join(PANELS)}",
            fix="choose one of them",
        )
    frames = read_tables(tables)
    with style.house(settings["screen"]["words"]):
        figure, source = PANELS[panel](frames, read_published(published), settings)
        for path in (pdf, svg, png):
            save_figure(figure, path)
    with whole_file(csv) as partial:
        source.to_csv(partial, index=False, float_format="%.6g", lineterminator="\n")
