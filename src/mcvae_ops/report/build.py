"""Write the report of a run: one page that needs no other file.

The same inputs give the same bytes, except for the parts between ``<!-- timings -->`` and
``<!-- /timings -->``.
"""

import base64
import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

import pandas as pd
import pyarrow.compute as pc

from mcvae_ops.benchmarks.hits.activity import MAX_Q
from mcvae_ops.benchmarks.hits.hit_names import level_of, names_of
from mcvae_ops.cells.tally import USED
from mcvae_ops.embeddings.spaces import UNTRAINED
from mcvae_ops.figures import style
from mcvae_ops.files import count_rows, read_codes, read_frame, read_table, write_text
from mcvae_ops.report import first_screen, quality_checks, representations
from mcvae_ops.report.altered_words import altered_words
from mcvae_ops.report.claims_in_words import VERDICTS, claims_in_words
from mcvae_ops.report.glossary import glossary
from mcvae_ops.report.hit_columns import alone_in_words, json_numbers
from mcvae_ops.report.notices import Notice, worst_first
from mcvae_ops.report.paper_comparison import COMPARED, compare_with_paper
from mcvae_ops.report.templates import count, environment, plain
from mcvae_ops.report.timings import read_timings
from mcvae_ops.screen import reworded
from mcvae_ops.versions import versions

logger = logging.getLogger(__name__)


def figure_blocks(
    figures: Sequence[str], data: Sequence[str], captions: dict[str, str], words: dict
) -> list[dict]:
    """Return panel, image as data URI, title, caption and file names of each figure.

    Parameters
    ----------
    figures, data
        PNG and CSV of each panel, named after it.
    captions
        Caption of each panel.
    words
        Words of the screen for genes, guides and controls.
    """
    blocks = []
    for png, csv in zip(map(Path, figures), map(Path, data), strict=True):
        content = png.read_bytes()
        image = base64.b64encode(content).decode("ascii")
        width_px = int.from_bytes(content[16:20], "big") // 2  # sharp at twice the density
        blocks.append(
            {
                "panel": png.stem,
                "image": f"data:image/png;base64,{image}",
                "width_px": width_px,
                "title": reworded(captions[png.stem], words).partition(". ")[0],
                "caption": reworded(captions[png.stem], words),
                "files": [f"{png.parent.name}/{png.stem}.{kind}" for kind in ("pdf", "svg", "png")]
                + [f"{csv.parent.name}/{csv.name}"],
            }
        )
    return blocks


def read_metrics(paths: Sequence[str]) -> pd.DataFrame:
    """Return the metrics of all trainings, with model and seed from their paths."""
    parts = []
    for path in map(Path, paths):
        model, seed = path.parts[-3:-1]
        parts.append(read_frame(path).assign(model=model, seed=int(seed)))
    return pd.concat(parts, ignore_index=True)


def cell_facts(index: str, splits: str) -> dict[str, str]:
    """Return the numbers of cells, genes and guides of a run, in words."""
    cells = read_codes(index, ["guide", "gene", "is_ntc", "plate", "well"])
    targeting = cells.filter(pc.invert(cells["is_ntc"]))
    n_ntc = cells.num_rows - targeting.num_rows
    wells = cells.group_by(["plate", "well"]).aggregate([])
    genes, guides = (len(pc.unique(targeting[name])) for name in ("gene", "guide"))
    split = read_codes(splits, ["split"])["split"].value_counts().to_pylist()
    counts = sorted(split, key=lambda part: -part["counts"])
    return {
        "cells": f"{cells.num_rows:,}: {targeting.num_rows:,} perturbed, {n_ntc:,} control "
        f"(NTC), from {style.counted(wells.num_rows, 'wells')}",
        "library": f"{genes:,} genes, {guides:,} guides",
        "split": ", ".join(f"{part['counts']:,} {plain(part['values'])}" for part in counts),
    }


def screen_fact(screen: dict, has_images: bool) -> str:
    """Return the plates of a screen, and the channels and pixel size of its images, in words."""
    plates = f"{screen['name']}: {style.counted(len(screen['plates']), 'plates')}"
    if not has_images:
        return f"{plates}, no images"
    channels = ", ".join(
        channel["name"] + (f" ({channel['stain']})" if channel["stain"] else "")
        for channel in screen["channels"]
    )
    size_um = screen["pixel_size_um"]
    size = f"{size_um:g} µm per px" if size_um else "pixel size not known"
    return f"{plates}, {size}; {channels}"


def model_fact(tables: Iterable[pd.DataFrame]) -> str:
    """Return the models of the benchmark tables and their numbers of seeds, in words."""
    rows = pd.concat([table[["model", "seed"]] for table in tables if "model" in table])
    rows = rows[(rows["model"] != "") & (rows["seed"] >= 0)].drop_duplicates()
    seeds = rows.groupby("model", sort=False)["seed"].nunique()
    return ", ".join(
        style.model_name(model) + ("" if model in UNTRAINED else f" ({n} ×)")
        for model, n in seeds.items()
    )


def _of(some: pd.Series, every: pd.Series) -> list[str]:
    return (some.astype(str) + " of " + every.astype(str)).tolist()


def hits_summary(table: pd.DataFrame) -> dict:
    """Return how many rows of the table of hits are hits, in words, and the columns to show.

    Parameters
    ----------
    table
        The table of hits, sorted by q.
    """
    hits = table[table["is_hit"]]
    batches = hits["n_batches_agree"].map(count).replace("", "none")
    columns = {
        "name": names_of(hits).tolist(),
        "q": json_numbers(hits["q_combined"], 6),
        "distance, tested cells": json_numbers(hits["distance_combined"], 4),
        "q of mAP": json_numbers(hits["map_q_combined"], 6),
        "guides that agree": _of(hits["n_guides_agree"], hits["n_guides"]),
        "batches that agree": _of(batches, hits["n_batches"]),
        "alone": alone_in_words(hits),
        **({"effect": hits["effect"].tolist()} if "effect" in hits else {}),
        "group": hits["group"].tolist(),
        "nearest": hits["neighbours"].tolist(),
    }
    tested = style.counted(len(table), f"{level_of(table)}s")
    n_hits = f"{len(hits):,}" if len(hits) else "None"
    words = f"{n_hits} of {tested} change the cells at a false discovery rate of"
    alone = (
        f"; {int(hits['survives_confounders'].sum()):,} of them also without what density and "
        "place of the cells explain"
    )
    said = f"{words} {MAX_Q:.0%}{alone if len(hits) else ''}."
    return {"words": said, "table": columns, "level": level_of(table)}


def _records(table: pd.DataFrame | None) -> list[dict] | None:
    return None if table is None else table.to_dict("records")


def _quality(
    alignment: pd.DataFrame | None,
    known_shifts: pd.DataFrame | None,
    row_counts: pd.DataFrame | None,
    dropped: pd.DataFrame | None,
    feature_list: str | None,
    metrics: Sequence[str],
    n_kept: int,
) -> dict:
    """Return tables and warnings on alignment, cropping and training; None for a missing table."""
    names = ("alignment", "rows", "dropped", "features", "training", "speed")
    quality = dict.fromkeys(names) | {"warnings": []}
    if alignment is not None:
        quality["alignment"] = quality_checks.alignment_summary(alignment)
        quality["warnings"] += quality_checks.alignment_warnings(alignment)
    if known_shifts is not None:
        quality["warnings"] += quality_checks.known_shift_warnings(known_shifts)
    if row_counts is not None:
        quality["rows"] = row_counts[row_counts["reason"] != USED]
        quality["warnings"] += quality_checks.lost_row_warnings(row_counts)
    if dropped is not None:
        quality["dropped"] = quality_checks.dropped_summary(dropped)
        quality["warnings"] += quality_checks.dropped_warnings(dropped, n_kept)
    if feature_list:
        table = pd.read_csv(feature_list, sep="\t")
        quality["features"] = quality_checks.feature_summary(table)
        quality["warnings"] += quality_checks.feature_warnings(table)
    if metrics:
        courses = read_metrics(metrics)
        quality["training"] = quality_checks.training_summary(courses)
        quality["speed"] = quality_checks.training_speed(courses)
        quality["warnings"] += quality_checks.training_warnings(quality["training"])
    return quality


def report(
    screen: dict,
    left_out: dict[str, str],
    claims: str,
    figures: Sequence[str],
    data: Sequence[str],
    captions: dict[str, str],
    tables: Sequence[str],
    alignment: str | None,
    known_shifts: str | None,
    row_counts: str | None,
    dropped: str | None,
    feature_list: str | None,
    index: str | None,
    splits: str | None,
    metrics: Sequence[str],
    hits: str | None,
    features: str | None,
    explorer: str | None,
    pictures: str | None,
    main_model: str,
    matched: str,
    licences: str,
    configuration: str,
    architecture: str,
    timings: str,
    html: str,
) -> None:
    """Write the report of a run.

    Parameters
    ----------
    screen
        The section of the configuration.
    left_out
        Panels that were not drawn, and why.
    claims
        Claims with estimate, interval and verdict (tsv).
    figures, data
        PNG and CSV of each panel.
    captions
        Caption of each panel.
    tables
        Benchmark tables (parquet); tables without a column ``model`` are ignored.
    alignment, known_shifts, row_counts, dropped, feature_list, index, splits, metrics
        Tables of a run that starts from cells; empty or None if the run starts from profiles.
    hits
        Table of hits (parquet); None if the run starts from profiles.
    features
        Classical features that each hit alters (parquet); None where cells have no features.
    explorer, pictures
        The page beside the report, and its folder of pictures, if there are any.
    main_model
        The model of the hits.
    matched
        How much of each list of genes the screen knows (tsv).
    licences
        Licences of the annotations (tsv).
    configuration
        The stored configuration of the run (YAML), which has no passwords and keys.
    architecture
        ``docs/architecture.md``, whose glossary explains words of the page.
    timings
        Folder of the files of time and memory that Snakemake writes (`benchmark:`).
    html
        Output.
    """
    tested = pd.read_csv(claims, sep="\t", keep_default_na=False, na_values=[""])
    facts = {"screen": screen_fact(screen, alignment is not None)}
    aligned = read_frame(alignment) if alignment else None
    checks = read_frame(known_shifts) if known_shifts else None
    lost = read_frame(dropped) if dropped else None
    rows = None
    if row_counts:
        rows = pd.read_csv(row_counts, sep="\t", keep_default_na=False, dtype={"plate": str})
    if aligned is not None:
        facts["tiles"] = quality_checks.tile_fact(aligned)
    if index:
        facts |= cell_facts(index, splits)
    benchmarks = {Path(path).stem: read_frame(path) for path in tables}
    facts["models (trainings)"] = model_fact(benchmarks.values())
    n_kept = count_rows(index) if index else 0
    quality = _quality(aligned, checks, rows, lost, feature_list, metrics, n_kept)
    confounded = []
    if index:
        cells = read_codes(index, ["plate", "well", "gene", "is_ntc"])
        confounded = quality_checks.confounding_warnings(cells, screen["batch"])
        if alignment is None or screen["tile_size_px"] is None:  # vectors or crops were given
            y_px = read_table(index, columns=["y_px"])["y_px"]
            quality["warnings"] = quality_checks.position_warnings(y_px) + quality["warnings"]
        quality["warnings"] = confounded + quality["warnings"]
    lists = pd.read_csv(matched, sep="\t", keep_default_na=False)
    step = "Check the names in the lists of genes: many are unknown here."
    quality["warnings"] += [
        Notice("look", warning, step, "#lists") for warning in lists["warning"] if warning
    ]
    quality["warnings"] = worst_first(quality["warnings"])
    found_claims = claims_in_words(tested)
    verdicts = Counter(claim["verdict"] for claim in found_claims)
    facts["claims"] = ", ".join(
        f"{word}: {verdicts[word]}" for word in VERDICTS if word in verdicts
    )
    for warning in quality["warnings"]:
        logger.warning("%s", warning.words)
    compared = {
        Path(path).stem: _records(compare_with_paper(Path(path).stem, pd.read_csv(path)))
        for path in data
        if Path(path).stem in COMPARED
    }
    made_with = versions()
    found = read_frame(hits) if hits else None
    answers = None
    if index:
        answers = first_screen.data_answers(
            rows,
            lost,
            n_kept,
            aligned,
            checks,
            benchmarks.get("covariates"),
            main_model,
            confounded,
            panels=[Path(png).stem for png in figures],
        )
    shown = None
    if found is not None:
        colours = [channel["colour"] for channel in screen["channels"]]
        altered = altered_words(read_frame(features), screen["channels"]) if features else {}
        folder = Path(pictures) if pictures else None
        shown = first_screen.first_hits(found, folder, colours, altered)
    if left_out:
        facts["not drawn"] = "; ".join(f"{panel}: {why}" for panel, why in left_out.items())
    facts["code"] = f"mcvae-ops {made_with['mcvae-ops']}"
    page = (
        environment()
        .get_template("report.html")
        .render(
            name=screen["name"],
            facts=facts,
            words={word: reworded(word, screen["words"]) for word in ("gene", "guide", "NTC")},
            say=partial(reworded, words=screen["words"]),
            explorer=Path(explorer).name if explorer else None,
            claims=found_claims,
            verdicts=VERDICTS,
            compared={panel: rows for panel, rows in compared.items() if rows},
            answers=answers,
            first_hits=shown,
            representations=representations.comparison(benchmarks, main_model),
            steps=first_screen.next_steps(found, quality["warnings"], confounded),
            n_shown_steps=first_screen.NEXT,
            hits=hits_summary(found) if found is not None else None,
            figures=figure_blocks(figures, data, captions, screen["words"]),
            origin="embeddings that others made" if index else "published profiles",
            warnings=quality["warnings"],
            alignment=_records(quality["alignment"]),
            rows=_records(quality["rows"]),
            dropped=_records(quality["dropped"]),
            columns=_records(quality["features"]),
            training=_records(quality["training"]),
            speed=_records(quality["speed"]),
            lists=_records(lists),
            licences=_records(pd.read_csv(licences, sep="\t", keep_default_na=False)),
            timings=_records(read_timings(timings)),
            configuration=Path(configuration).read_text(encoding="utf-8"),
            glossary=glossary(Path(architecture).read_text(encoding="utf-8"), screen["words"]),
            versions=made_with,
        )
    )
    write_text(page, html)
