"""A card for each trained model: what it is, what it learnt from, how well it does, its limits.

The card stands beside the weights, for people who have them and not the run. Its sections follow
Mitchell et al. 2019, "Model cards for model reporting", doi:10.1145/3287560.3287596.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd
import pyarrow.compute as pc

from mcvae_ops.errors import shown
from mcvae_ops.figures.source_data import choose
from mcvae_ops.files import read_codes, read_frame, write_text
from mcvae_ops.report.data_dictionary import dictionary_rows
from mcvae_ops.report.quality_checks import best_validations
from mcvae_ops.report.representations import QUESTIONS
from mcvae_ops.report.templates import number
from mcvae_ops.versions import versions
from mcvae_ops.weights_header import read_header

METRICS = "models/{model}/{seed}/metrics.parquet"
DATA = {
    "simulated": "a simulated screen",
    "archive": "images of {root}",
    "crops": "crops of {root}",
}
LICENCES = {
    "simulated": "Apache-2.0, as this software: the images are simulated.",
    "archive": "That of the images that the model learnt from ({root}); ask their authors. The "
    "software is under Apache-2.0.",
}
LICENCES["crops"] = LICENCES["archive"]
USE = """\
Embedding cells of this screen, of further plates of it, or of another screen with the same stains
and crops of the same edge; decoding cells with another salient state. `docs/models.md` shows both
in a few lines.

Not for diagnosis, nor for any decision about patients."""
LIMITS = """\
- Batches that the training did not see need control cells of their own if `normalise_batches` is
  true. Another microscope, cell line or staining can change s and z without any change in cells.
- z is not free of what a perturbation does, and s is not 0 in control cells: see the monitors.
- Labels are guides, not phenotypes. Cells of a gene that was trained on are recognised better than
  those of a gene that was not.
- The scores are of this screen; on another one they are unknown."""


def table_of(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines)


def card(
    header: dict,
    monitors: Sequence[tuple[str, str, str]],
    scores: Sequence[tuple[str, str, str]],
    data: Sequence[str],
    licence: str,
) -> str:
    """Return the card of one training, in Markdown.

    Parameters
    ----------
    header
        See `mcvae_ops.weights_header.read_header`.
    monitors
        Name, value and meaning of what the best validation says.
    scores
        See `scores_of`.
    data, licence
        Sentences on the cells of the screen, and on how the weights may be used.
    """
    crop, origin, settings = header["crop"], header["origin"], header["settings"]
    size = f"{crop['size_px']} px"
    size += f" of {crop['pixel_size_um']} um" if crop["pixel_size_um"] else ""
    facts = [
        *data,
        f"channels: {', '.join(header['channels'])}; crops of {size}",
        f"{len(header['labels']) - 1} labels of perturbed cells, {len(header['batches'])} batches",
    ]
    of_run = "Trained by this run."
    if origin is not None:
        of_run = (
            f"Trained by another run as {origin['model']}, seed {origin['seed']}, in the file of "
            f"SHA-256 `{origin['sha256']}`. Here it is used, on the following data."
        )
    terms = [(f"`{key}`", str(value)) for key, value in settings.items() if is_weight(key)]
    others = [(f"`{key}`", str(value)) for key, value in settings.items() if not is_weight(key)]
    parts = [
        f"# {header['model']}, seed {header['seed']}",
        "A contrastive VAE of single cells in optical pooled screens (Wang et al. 2023, "
        f"doi:10.1101/2023.11.28.569094), by mcvae-ops {versions()['mcvae-ops']}. {of_run} "
        f"SHA-256 of `weights.pt`: `{header['sha256']}`.",
        "## Data",
        "\n".join(f"- {fact}" for fact in facts),
        "## Settings",
        table_of(("key", "value"), others),
        "## Terms of the objective",
        table_of(("weight", "value"), terms),
        "## Monitors",
        "Of validation cells, with the best weights:",
        table_of(("name", "value", "meaning"), monitors),
        "## Scores",
        table_of(("score", "cells", "value"), scores) if scores else "None were computed.",
        "## Intended use",
        USE,
        "## Limits",
        LIMITS,
        "## Licence",
        licence,
    ]
    return "\n\n".join(parts) + "\n"


def is_weight(key: str) -> bool:
    """Return whether a key of the settings is the weight of a term of the objective."""
    return key.endswith("_weight")


def scores_of(tables: dict[str, pd.DataFrame], model: str, seed: int) -> list[tuple[str, str, str]]:
    """Return the strict scores of one training: what is measured, on which cells, its value.

    Parameters
    ----------
    tables
        Benchmark tables by name; each of `QUESTIONS` may be absent.
    model, seed
        The training.
    """
    rows = []
    for name, metric, item, _, words in QUESTIONS:
        if name not in tables:
            continue
        chosen = choose(tables[name], protocol="strict", model=model, metric=metric, item=item)
        for row in chosen[(chosen["seed"] == seed) & (chosen["against"] == "")].itertuples():
            interval = "" if pd.isna(row.low) else f" [{number(row.low)}, {number(row.high)}]"
            what = f"{words}: {metric.replace('_', ' ')}, {row.space}"
            rows.append((what, row.cells.replace("_", " "), number(row.value) + interval))
    return rows


def model_cards(
    weights: list[str],
    metrics: list[str],
    tables: list[str],
    index: str,
    splits: str,
    page: str,
    source: str,
    screen: str,
    root: str | None,
    cards: list[str],
) -> None:
    """Rule model_cards: write the card of every training, beside its weights.

    Parameters
    ----------
    weights, metrics
        Weights and table of metrics of each training.
    tables
        Benchmark tables of the screen.
    index, splits
        Cells of the screen, and their splits.
    page
        ``docs/tables.md``, which says what the metrics mean.
    source, screen, root
        ``source``, ``screen.name`` and ``archive.root`` of the configuration.
    cards
        Outputs: Markdown, one for each of `weights`.
    """
    described = dictionary_rows(Path(page).read_text(encoding="utf-8"))
    meaning = described[described["table"] == METRICS].set_index("column")["meaning"]
    benchmarks = {Path(path).stem: read_frame(path) for path in tables}
    place = {"root": shown(str(root))}
    data = [f"screen {screen}: {DATA[source].format(**place)}", *_numbers(index, splits)]
    for file, course, path in zip(weights, metrics, cards, strict=True):
        header = read_header(file)
        best = best_validations(read_frame(course).assign(model="", seed=0)).iloc[0]
        numbers = {k: v for k, v in best.items() if k in meaning and isinstance(v, float | int)}
        monitors = [(f"`{k}`", number(v), meaning[k]) for k, v in numbers.items() if v == v]
        scores = scores_of(benchmarks, header["model"], header["seed"])
        write_text(card(header, monitors, scores, data, LICENCES[source].format(**place)), path)


def _numbers(index: str, splits: str) -> list[str]:
    """Return the numbers of perturbed and control cells of each split."""
    is_ntc = read_codes(index, ["is_ntc"])["is_ntc"]
    table = read_codes(splits, ["split"]).append_column("is_ntc", is_ntc)
    counts = table.group_by(["split", "is_ntc"]).aggregate([([], "count_all")]).to_pylist()
    lines = []
    for split in pc.unique(table["split"]).to_pylist():
        n = {row["is_ntc"]: row["count_all"] for row in counts if row["split"] == split}
        lines.append(f"{split}: {n.get(False, 0):,} perturbed and {n.get(True, 0):,} control cells")
    return sorted(lines)
