"""The judgement as a table and as a page, from the results of its screens.

``python -m mcvae_ops.evaluation.comparison_page config/judge/judgement.yaml results``
"""

import logging
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import yaml

from mcvae_ops.errors import InputError
from mcvae_ops.evaluation.model_comparison import (
    MEASURES,
    OF_TRAINING,
    check_settings,
    judge,
    screen_values,
)
from mcvae_ops.files import write_text
from mcvae_ops.report.build import read_metrics

TABLES = ("complexes", "functions", "covariates", "mitosis", "corrections")
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
HEAD = """# The judgement

Screens {screens}, on which no model was developed. Strict protocol; held-out cells where nothing
else is said; complexes by average precision (AP). Estimates are means over screens of the mean over
training seeds, with the 95 % interval of Student's t over the screens (at most {n_screens}: wide
intervals). Functional groups are predicted by gene-grouped cross-validation; batch, field of view
(FOV) and well from NTC cells. Cells per second depend on the machine and on what else ran there.
"""


def trainings_of(folder: Path) -> pd.DataFrame:
    """Return one row per training below a folder of results: model, seed, `OF_TRAINING`.

    The decoder's nats and the likelihood are those of the last validation; cells per second are
    the mean over the training; cells seen are steps times cells of a batch; parameters are counted
    in the weights.
    """
    paths = sorted(folder.glob("models/*/*/metrics.parquet"))
    metrics = read_metrics(list(map(str, paths)))
    if "nats_without_s" not in metrics:  # no model with a salient space
        metrics["nats_without_s"] = np.nan
    trainings = metrics.groupby(["model", "seed"], sort=True)
    validated = metrics[metrics["phase"] == "validation"].groupby(["model", "seed"]).tail(1)
    columns = ["step", "nats_without_s", "negative_log_likelihood"]
    found = validated.set_index(["model", "seed"])[columns]
    found = found.assign(cells_per_s=trainings["cells_per_s"].mean()).reset_index()
    places = zip(found["model"], found["seed"], strict=True)
    stored = [
        torch.load(folder / f"models/{m}/{s}/weights.pt", map_location="cpu", weights_only=True)
        for m, s in places
    ]
    batch_sizes = [one["settings"]["batch_size"] for one in stored]
    counts = [sum(values.numel() for values in one["state"].values()) for one in stored]
    found = found.assign(cells_seen=found["step"] * batch_sizes, n_parameters=counts)
    return found[["model", "seed", *OF_TRAINING]]


def read_screen(folder: Path) -> pd.DataFrame:
    """Return `screen_values` of a folder of results, with a column screen: its name.

    Raises
    ------
    InputError
        If a benchmark table is not there.
    """
    paths = {name: folder / f"benchmarks/{name}.parquet" for name in TABLES}
    for path in paths.values():
        if not path.is_file():
            raise InputError(
                where=str(path),
                found="no file",
                expected="a benchmark table",
                fix="run `make judge`",
            )
    tables = {name: pd.read_parquet(path) for name, path in paths.items()}
    return screen_values(tables, trainings_of(folder)).assign(screen=folder.name)


def page(table: pd.DataFrame, settings: dict) -> str:
    """Return the judgement as Markdown: aims, profiles, models, differences.

    Parameters
    ----------
    table
        Of `mcvae_ops.evaluation.model_comparison.judge`.
    settings
        As config/judge/judgement.yaml.
    """
    kinds = dict(list(table.groupby("kind", sort=False)))
    estimates, has_space = kinds["estimate"], [m for m in MEASURES if MEASURES[m].has_space]
    of_model = [name for name in NAMES if name not in has_space]
    profiles = _wide(estimates[estimates["space"] != ""], ["model", "space", "correction"])
    models = _wide(estimates[estimates["space"] == ""], ["model"])
    screens = settings["screens"]
    parts = [HEAD.format(screens=", ".join(screens), n_screens=len(screens))]
    parts += ["## Aims\n", _aims(kinds["aim"]), "## Profiles\n", _text(profiles, has_space)]
    parts += ["## Models\n", _text(models, of_model)]
    if "difference" in kinds:
        differences = _wide(kinds["difference"], ["against"])
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


def judgement(settings: str, results: str, table: str, text: str) -> None:
    """Write the judgement of the screens below `results`.

    Parameters
    ----------
    settings
        config/judge/judgement.yaml.
    results
        Folder of the screens' results.
    table, text
        Outputs: tab-separated, and Markdown.
    """
    read = yaml.safe_load(Path(settings).read_text(encoding="utf-8"))
    check_settings(read, settings)
    values = [read_screen(Path(results) / screen) for screen in read["screens"]]
    found = judge(pd.concat(values, ignore_index=True), read)
    write_text(found.to_csv(sep="\t", index=False, float_format="%.5g"), table)
    write_text(page(found, read), text)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    _, given, folder = sys.argv
    try:
        judgement(given, folder, f"{folder}/judgement.tsv", f"{folder}/judgement.md")
    except InputError as error:
        sys.exit(str(error))
