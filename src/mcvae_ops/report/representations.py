"""Which representation does best on cells that no model was trained on: sentences and a table."""

from collections.abc import Mapping
from typing import NamedTuple

import pandas as pd

from mcvae_ops.benchmarks.claims import Tables
from mcvae_ops.benchmarks.complexes.complex_retrieval import COMPLEXES, N_LARGEST, WITHOUT_LARGEST
from mcvae_ops.benchmarks.estimates.verdicts import FAILS, HOLDS, NOT_TESTED, UNDECIDED
from mcvae_ops.embeddings.spaces import SHORTCUTS, UNTRAINED
from mcvae_ops.figures import style
from mcvae_ops.figures.source_data import average_seeds, choose


class Question(NamedTuple):
    """How well a representation does something.

    Attributes
    ----------
    table, metric, item
        The benchmark table, and the rows that answer.
    head
        Head of its column.
    words
        What is measured, after "How well".
    """

    table: str
    metric: str
    item: str
    head: str
    words: str


ALIKE = "genes of one complex resemble each other"
QUESTIONS = (
    Question("complexes", "average_precision", COMPLEXES, "complexes", ALIKE),
    Question(
        "complexes",
        "macro_average_precision",
        COMPLEXES,
        "each alike",
        f"{ALIKE}, each complex counted alike",
    ),
    Question(
        "complexes",
        "average_precision",
        WITHOUT_LARGEST,
        "without large",
        f"{ALIKE}, without the {N_LARGEST} largest complexes",
    ),
    Question(
        "functions", "macro_recall", "", "groups", "the functional group of a gene is recognised"
    ),
    Question(
        "guides", "mean_average_precision", "", "guides", "guides of one gene resemble each other"
    ),
)


# What a gain in the first question is called, by the verdict of its interval.
HELP = {HOLDS: "help", FAILS: "do harm", UNDECIDED: "are not certain to help"}
IS = {HOLDS: "is better", FAILS: "is worse", UNDECIDED: "is not certain to be better or worse"}


class Answer(NamedTuple):
    """The scores of all representations on one question.

    Attributes
    ----------
    words
        The whole question, with the metric and the cells.
    scores
        value, low, high by model, best first.
    """

    words: str
    scores: pd.DataFrame


class Cell(NamedTuple):
    """A number of the table, its interval as text, and whether no other is better."""

    value: float
    interval: str
    is_best: bool


def answer(question: Question, tables: Mapping[str, pd.DataFrame]) -> Answer | None:
    """Return the answer of the benchmark tables, by name; None if they have none."""
    if question.table not in tables:
        return None
    rows = choose(
        tables[question.table],
        protocol="strict",
        metric=question.metric,
        space="combined",
        item=question.item,
    )
    rows = rows[(rows["model"] != "random") & rows["level"].isna()].dropna(subset=["value"])
    held_out = rows[rows["cells"] == "test"]
    rows, cells = (held_out, "held-out") if len(held_out) else (rows, "all")
    if rows.empty:
        return None
    scores = average_seeds(rows, ["model"]).sort_values("value", ascending=False)
    metric = question.metric.replace("_", " ")
    words = f"How well {question.words} ({metric}, {cells} cells)"
    return Answer(words, scores.set_index("model")[["value", "low", "high"]])


def comparison(tables: Mapping[str, pd.DataFrame], main_model: str) -> dict | None:
    """Return what the page says of representations; None if no table compares any.

    Parameters
    ----------
    tables
        Benchmark tables by name.
    main_model
        The model that the sentence sets beside the best one.

    Returns
    -------
    ``words``, a sentence about the first question; ``gains``, what labels, priors and CellProfiler
    change in its answer, in words; ``heads``, (head, question) of each column;
    ``rows``, (name, cells) of each representation, best first, and of the best shortcut, where a
    cell is its number, its interval and whether it is the best; or None without a score.
    """
    found = {question: answer(question, tables) for question in QUESTIONS}
    answers = {question.head: one for question, one in found.items() if one is not None}
    if not answers:
        return None
    models = [_models(one.scores) for one in answers.values()]
    names = dict.fromkeys(name for scores in models for name in scores.index)
    rows = [(style.model_name(name), [_cell(scores, name) for scores in models]) for name in names]
    shortcuts = [_shortcuts(one.scores) for one in answers.values()]
    if any(len(scores) for scores in shortcuts):
        best = [_cell(scores, scores.index[0]) if len(scores) else None for scores in shortcuts]
        rows.append(("best shortcut", [cell and cell._replace(is_best=False) for cell in best]))
    return {
        "words": _sentence(next(iter(answers.values())), main_model),
        "gains": gains(tables["complexes"], main_model) if "complexes" in tables else [],
        "heads": [(head, one.words) for head, one in answers.items()],
        "rows": rows,
    }


def gains(complexes: pd.DataFrame, main_model: str) -> list[str]:
    """Return what labels and priors add to the retrieval of complexes, and what CellProfiler does.

    Parameters
    ----------
    complexes
        The benchmark of complexes.
    main_model
        The model with priors, which CellProfiler is compared with.
    """
    if main_model in UNTRAINED:
        return []
    tables = Tables(complexes, main_model)
    said = []
    for subject, verbs, model, over in (
        ("Labels (perturbed or NTC)", HELP, "cvae", "vae"),
        ("Priors for each gene", HELP, main_model, "cvae"),
        ("CellProfiler", IS, "cellprofiler", main_model),
    ):
        found = tables.gain("average_precision", model, over, "combined", "combined", {})
        if found.verdict != NOT_TESTED:
            names = f"{style.model_name(model)} minus {style.model_name(over)}"
            interval = f"{found.value:+.2f} [{found.low:+.2f}, {found.high:+.2f}]"
            said.append(f"{subject} {verbs[found.verdict]}: {names} {interval.replace('-', '−')}.")
    return said


def _models(scores: pd.DataFrame) -> pd.DataFrame:
    return scores[~scores.index.isin(SHORTCUTS)]


def _shortcuts(scores: pd.DataFrame) -> pd.DataFrame:
    return scores[scores.index.isin(SHORTCUTS)]


def _cell(scores: pd.DataFrame, name: str) -> Cell | None:
    if name not in scores.index:
        return None
    value, low, high = scores.loc[name, ["value", "low", "high"]]
    interval = "" if pd.isna(low) else f"{low:.2f}\N{NO-BREAK SPACE}to {high:.2f}"
    return Cell(value, interval, name == scores.index[0])


def _number(score: pd.Series) -> str:
    interval = "" if pd.isna(score["low"]) else f" [{score['low']:.2f}, {score['high']:.2f}]"
    return f"{score['value']:.2f}{interval}"


def _sentence(first: Answer, main_model: str) -> str:
    models, shortcuts = _models(first.scores), _shortcuts(first.scores)
    parts = []
    for name in dict.fromkeys([*models.index[:1], main_model, "cellprofiler"]):
        if name in models.index:
            parts.append(f"{style.model_name(name)} {_number(models.loc[name])}")
    if parts:
        parts[0] = f"best is {parts[0]}"
    if len(shortcuts):
        parts.append(f"no shortcut reaches more than {shortcuts['value'].iloc[0]:.2f}")
    return f"{first.words}: {'; '.join(parts)}."
