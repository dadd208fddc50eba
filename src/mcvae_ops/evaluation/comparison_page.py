"""The comparison of models on several screens as a table and as a page."""

import numpy as np
import pandas as pd

from mcvae_ops.evaluation.model_comparison import check_settings, compare
from mcvae_ops.evaluation.screen_measures import MEASURES
from mcvae_ops.files import read_frame, write_csv, write_text

NAMES = {
    "complexes_test": "complex AP, held-out cells",
    "complexes_held_out_guide": "complex AP, held-out guides",
    "complexes_held_out_gene": "complex AP, unseen genes",
    "complexes_train": "complex AP, training cells",
    "complexes_all": "complex AP, all cells",
    "macro_recall": "macro recall of groups",
    "batch": "AUROC of batch",
    "position_in_fov": "AUROC of FOV",
    "position_in_well": "AUROC of well",
    "group_auroc": "AUROC of shift against novel",
    "fig5c_difference": "Fig. 5C difference",
    "nats_without_s": "nats lost without s",
    "negative_log_likelihood": "negative log likelihood",
    "cells_per_s": "cells per s",
    "cells_seen": "cells seen in training",
    "n_parameters": "parameters",
}
HEAD = """# Comparison of models

Screens: {screens}. No model was developed on them. Strict protocol; held-out cells unless stated
otherwise; complexes by average precision (AP). Estimates are means over screens of the mean over
training seeds, with the 95 % interval of Student's t over the screens (at most {n_screens}: wide
intervals). Functional groups are predicted by gene-grouped cross-validation; batch, field of view
(FOV) and well are predicted from NTC cells. Cells per second depend on the machine and its load.
"""


def page_text(table: pd.DataFrame, settings: dict) -> str:
    """Return the comparison as Markdown: aims, profiles, models, differences.

    Parameters
    ----------
    table
        Of `mcvae_ops.evaluation.model_comparison.compare`.
    settings
        Section ``evaluation`` of the configuration.
    """
    rows_of = dict(list(table.groupby("kind", sort=False)))
    estimates, has_space = rows_of["estimate"], [m for m in MEASURES if MEASURES[m].has_space]
    of_model = [name for name in NAMES if name not in has_space]
    profiles = _wide(estimates[estimates["space"] != ""], ["model", "space", "correction"])
    models = _wide(estimates[estimates["space"] == ""], ["model"])
    screens = settings["screens"]
    parts = [HEAD.format(screens=", ".join(screens), n_screens=len(screens))]
    if "aim" in rows_of:
        parts += ["## Aims\n", _aims(rows_of["aim"])]
    parts += ["## Profiles\n", _text(profiles, has_space), "## Models\n", _text(models, of_model)]
    if "difference" in rows_of:
        differences = _wide(rows_of["difference"], ["against"])
        ours = f"## {settings['ours']} minus each other profile, screen by screen\n"
        parts += [ours, _text(differences, list(NAMES))]
    return "\n".join(parts)


def _number(value: float) -> str:
    return f"{value:.3f}" if abs(value) < 10 else f"{value:,.0f}"


def _estimate(row) -> str:
    if not np.isfinite(row.value):
        return ""
    bounds = f" [{_number(row.low)}, {_number(row.high)}]" if np.isfinite(row.low) else ""
    return _number(row.value) + bounds


def _wide(rows: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Return one row per `keys`, in order of first appearance, one column of text per measure."""
    texts = rows.assign(text=[_estimate(row) for row in rows.itertuples()])
    wide = texts.pivot(index=keys, columns="measure", values="text")
    return wide.reindex(texts.set_index(keys).index.unique())


def _aims(rows: pd.DataFrame) -> str:
    shown = pd.DataFrame(
        {
            "profile": rows["model"] + " " + rows["space"] + ", " + rows["correction"],
            "measure": rows["measure"].map(NAMES),
            "aim": rows["against"],
            "beyond it by": [_estimate(row) for row in rows.itertuples()],
            "verdict": rows["verdict"],
            "each screen (reached : aim)": rows["by_screen"],
        }
    )
    return _markdown(list(shown), shown.itertuples(index=False))


def _text(wide: pd.DataFrame, measures: list[str]) -> str:
    known = [name for name in measures if name in wide]
    rows = wide[known].fillna("").reset_index().itertuples(index=False)
    return _markdown([*wide.index.names, *(NAMES[name] for name in known)], rows)


def _markdown(names: list[str], rows) -> str:
    lines = [names, ["---"] * len(names), *rows]
    return "".join(f"| {' | '.join(map(str, line))} |\n" for line in lines)


def compare_models(measures: list[str], evaluation: dict, table: str, page: str) -> None:
    """Write the comparison of the models on several screens.

    Parameters
    ----------
    measures
        A file of `mcvae_ops.evaluation.screen_measures.screen_measures` for each screen, in the
        order of the screens.
    evaluation
        Section ``evaluation`` of the configuration.
    table, page
        Outputs: tab-separated, and Markdown.

    Raises
    ------
    InputError
        If an aim names a profile or a measure that does not exist.
    """
    check_settings(evaluation)
    of_screens = zip(evaluation["screens"], measures, strict=True)
    values = [read_frame(path).assign(screen=screen) for screen, path in of_screens]
    comparison = compare(pd.concat(values, ignore_index=True), evaluation)
    write_csv(comparison, table, "%.5g")
    write_text(page_text(comparison, evaluation), page)
