"""The score card of a screen: every representation on every task, above the best shortcut.

One card holds all representations of a screen, because what a score is worth depends on what the
shortcuts reach on the same cells. It is a small file of JSON that can be sent: who judges another
embedding on the same cells sends a card, and the leaderboard puts both side by side, if the hashes
of split and task are equal.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from mcvae_ops.benchmarks.contents import RECALL, VARIANCE
from mcvae_ops.benchmarks.estimates.table import OVER_SEEDS
from mcvae_ops.embeddings.spaces import SHORTCUTS
from mcvae_ops.evaluation.card_tasks import ANY, FAMILIES, LARGEST, TASKS, Task
from mcvae_ops.files import (
    count_rows,
    first_difference,
    read_blocks,
    read_frame,
    read_schema,
    write_text,
)
from mcvae_ops.versions import versions

FORMAT = "mcvae-ops score card 1"
CONTROLS = ("random", *SHORTCUTS)  # what a representation has to be better than
MOST_EXPLAINED = 0.5  # of the variance of control cells, before a representation is flagged
MOST_RECALLED = {"control guides": 0.1, "genes": 0.5}  # above chance, before it is flagged


def split_hash(index: str, splits: str) -> str:
    """Return the hash of the cells of a screen, their guides and their split, in any order.

    The sum of the hashes of the rows does not depend on the order of the table.
    """
    if first_difference(index, splits, "cell_id"):
        raise ValueError(f"{splits} does not hold the cells of {index}")
    total = np.zeros(1, np.uint64)
    names = ["cell_id", "guide"]
    blocks = zip(read_blocks(index, names), read_blocks(splits, ["split"]), strict=True)
    for cells, parts in blocks:
        rows = cells.append_column("split", parts["split"]).to_pandas()
        total += pd.util.hash_pandas_object(rows, index=False).to_numpy().sum(dtype=np.uint64)
    return _digest([int(total[0]), count_rows(index)])


def genes_hash(genes: str) -> str:
    """Return the hash of the genes of profiles, of which no cells are known."""
    return _digest(sorted(set(read_frame(genes, ["gene"])["gene"])))


def definitions(tables: Mapping[str, pd.DataFrame]) -> Iterator[tuple[str, Task, dict]]:
    """Yield key, task and the columns that pick its rows, for each task that the tables hold.

    Parameters
    ----------
    tables
        Benchmark tables by name.
    """
    for task in TASKS:
        if task.benchmark not in tables:
            continue
        where = {"protocol": "strict"} | dict(task.where)
        items = [where.get("item")]
        if items == [ANY]:
            rows = _picked(tables[task.benchmark], {k: v for k, v in where.items() if k != "item"})
            items = sorted(set(rows["item"]))
            if task.family == "pairs":
                items = [name for name in items if not name.startswith("CORUM")]
        for item in items:
            of_item = where if item is None else where | {"item": item}
            if _picked(tables[task.benchmark], of_item).empty:
                continue
            key = "/".join([task.family, task.rung, *([item] if where.get("item") == ANY else [])])
            yield key, task, of_item


def definition_hash(task: Task, where: dict, settings: dict, lists: Mapping) -> str:
    """Return the hash of all that decides the value of a task, but for the cells."""
    decided = {name: settings[name] for name in task.settings}
    contents = {
        name: sorted(map(str, lists[name].itertuples(index=False, name=None)))
        for name in task.lists
    }
    seed = settings["seed"] if task.settings else None
    return _digest([task.family, task.benchmark, where, decided, contents, seed])


def estimates(rows: pd.DataFrame) -> dict[tuple[str, str], dict]:
    """Return the estimate of each model and space: over training seeds, if there are several."""
    found = {}
    for key, of_one in rows.groupby(["model", "space"], sort=False):
        of_one = of_one[np.isfinite(of_one["value"])]
        folded = of_one[of_one["seed"] == OVER_SEEDS]
        trainings = of_one[of_one["seed"] != OVER_SEEDS]
        if of_one.empty or key[0] == "":
            continue
        if len(folded) or len(trainings) == 1:
            chosen = (folded if len(folded) else trainings).iloc[0]
            value, low, high = (_number(chosen[name]) for name in ("value", "low", "high"))
        else:
            chosen, low, high = trainings.iloc[0], None, None
            value = _number(trainings["value"].mean())
        seeds = max(len(trainings), 1)
        found[key] = {"value": value, "low": low, "high": high, "n": int(chosen["n"])}
        found[key] |= {"units": chosen["units"], "seeds": seeds}
    return found


def with_excess(found: dict[tuple[str, str], dict]) -> None:
    """Add to each estimate what it has above the best shortcut of the task.

    The best shortcut is that of the largest estimate, in any of its spaces: the chance that makes
    it the best makes the excess smaller, never larger. Intervals add in quadrature, as if they were
    independent; scores of the same genes vary together, so this interval is rather too wide.
    """
    controls = {key: estimate for key, estimate in found.items() if key[0] in CONTROLS}
    for key, estimate in found.items():
        others = {name: of for name, of in controls.items() if name[0] != key[0]}
        if not others:
            continue
        (model, _), best = max(others.items(), key=lambda pair: pair[1]["value"])
        excess, ends = estimate["value"] - best["value"], [None, None]
        if None not in (estimate["low"], estimate["high"], best["low"], best["high"]):
            down = np.hypot(estimate["value"] - estimate["low"], best["high"] - best["value"])
            up = np.hypot(estimate["high"] - estimate["value"], best["value"] - best["low"])
            ends = [_number(excess - down), _number(excess + up)]
        estimate |= {"shortcut": model, "excess": _number(excess)}
        estimate |= {"excess_low": ends[0], "excess_high": ends[1]}


def flags_of(contents: Mapping[str, dict]) -> list[str]:
    """Return what a representation is suspected of, from what it is made of.

    Parameters
    ----------
    contents
        Item -> estimate of ``variance_explained`` (batch, density, position) and of
        ``label_recall`` (control guides, genes).
    """
    flags = [
        item
        for item in ("batch", "density", "position")
        if item in contents and contents[item]["value"] > MOST_EXPLAINED
    ]
    guides, genes = (contents.get(name) for name in ("control guides", "genes"))
    told = guides and (guides["low"] if guides["low"] is not None else guides["value"])
    if (told and told > MOST_RECALLED["control guides"]) or (
        genes and genes["value"] > MOST_RECALLED["genes"]
    ):
        flags.append("label")
    return flags


def card_of(
    tables: Mapping[str, pd.DataFrame],
    lists: Mapping[str, pd.DataFrame],
    settings: dict,
    models: Mapping[str, dict],
) -> dict:
    """Return tasks and representations of a card.

    Parameters
    ----------
    tables
        Benchmark tables by name; ``contents`` for the flags.
    lists
        Annotation tables by name.
    settings
        Section ``benchmarks`` of the configuration.
    models
        What is known of each model: its kind, and of encoders licence, file and checksum.
    """
    tasks, rows = {}, {}
    for key, task, where in definitions(tables):
        family = FAMILIES[task.family]
        found = {
            key_of: estimate
            for key_of, estimate in estimates(_picked(tables[task.benchmark], where)).items()
            if key_of[0] not in family.not_asked
        }
        if family.higher_is_better:
            with_excess(found)
        tasks[key] = {
            "family": task.family,
            "rung": key.split("/", 1)[1].replace("/", ", "),
            "definition": definition_hash(task, where, settings, lists),
        }
        for (model, space), estimate in found.items():
            rows.setdefault((model, space), {})[key] = estimate
    made_of = _made_of(tables.get("contents"))
    return {
        "tasks": tasks,
        "representations": [
            {
                "model": model,
                "space": space,
                **models.get(model, {"kind": "shortcut" if model in CONTROLS else "model"}),
                "flags": flags_of(made_of.get((model, space), {})),
                "made_of": made_of.get((model, space), {}),
                "scores": scores,
            }
            for (model, space), scores in rows.items()
            if "-" not in space
        ],
    }


def score_card(
    index: str | None,
    splits: str | None,
    genes: str | None,
    tables: Sequence[str],
    lists: Sequence[str],
    encoders: Sequence[str],
    screen_name: str,
    settings: dict,
    models: Mapping[str, dict],
    card: str,
) -> None:
    """Rule score_card: write the card of a screen.

    Parameters
    ----------
    index, splits
        Tables of cells; none of published profiles.
    genes
        Gene profiles, where there are no cells.
    tables, lists
        Benchmark and annotation tables, by the names of their files.
    encoders
        Embeddings by encoders that others trained, whose file and checksum the card tells.
    screen_name, settings, models
        Name of the screen; see `card_of`.
    card
        Output: JSON.
    """
    read = [{Path(path).stem: read_frame(path) for path in paths} for paths in (tables, lists)]
    models = {**models, **{name: known | models[name] for name, known in map(_encoder, encoders)}}
    split = split_hash(index, splits) if index else genes_hash(genes)
    content = {"format": FORMAT, "screen": screen_name, "made_by": versions()["mcvae-ops"]}
    content |= {"split": split, **card_of(*read, settings, models)}
    write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", card)


def _encoder(embedding: str) -> tuple[str, dict]:
    metadata = read_schema(embedding).metadata
    return metadata[b"model"].decode(), json.loads(metadata[b"encoder"])


def _made_of(contents: pd.DataFrame | None) -> dict[tuple[str, str], dict]:
    made_of: dict[tuple[str, str], dict] = {}
    for metric, item in (
        *((VARIANCE, name) for name in ("batch", "density", "position")),
        *((RECALL, name) for name in MOST_RECALLED),
    ):
        if contents is None:
            break
        for key, estimate in estimates(_picked(contents, {"metric": metric, "item": item})).items():
            made_of.setdefault(key, {})[item] = {k: estimate[k] for k in ("value", "low", "high")}
    return made_of


def _picked(rows: pd.DataFrame, where: Mapping[str, object]) -> pd.DataFrame:
    """Return the rows with these columns; of the level `LARGEST`, the largest of each model."""
    picked = rows
    for column, value in where.items():
        if value != LARGEST:
            picked = picked[picked[column] == value]
    if where.get("level") == LARGEST:
        top = picked.groupby(["model", "space", "seed"])["level"].transform("max")
        return picked[picked["level"] == top]
    # Recall at k stands in other rows of the same metric.
    return (
        picked if "level" in where or "efaar" in where.values() else picked[picked["level"].isna()]
    )


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _digest(content: object) -> str:
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
