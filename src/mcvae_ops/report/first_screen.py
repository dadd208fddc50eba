"""What a reader wants to know first: are the data good, what are the hits, what next.

A grade compares a number with the limits below; its link leads to where the number is.
"""

import base64
import io
import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from PIL import Image

from mcvae_ops.benchmarks.hits.hit_names import level_of
from mcvae_ops.cells.tally import USED
from mcvae_ops.figures import style
from mcvae_ops.figures.source_data import choose
from mcvae_ops.report.gene_pictures import NUMBERS, read_picture
from mcvae_ops.report.notices import DROPPED, FAILED, GRADES, Notice, graded
from mcvae_ops.report.quality_checks import (
    LEAST_SURE,
    MOST_CONSENSUS,
    WRONG_PX,
    known_shift_warnings,
    lost_rows,
)
from mcvae_ops.tiles.quality import OUT_OF_FOCUS

FIRST_HITS = 10
ALTERED = 2  # features that a sentence names
CROPS = 4  # of cells, and as many of controls, beside a hit
GAP_PX = 6  # between both
NEXT = 6  # steps that are shown at once
BATCH_AUROC = (0.7, 0.9)  # with which control cells tell their batch; chance is 0.5; see `graded`
ERROR_PX = (WRONG_PX / 2, WRONG_PX)  # of 95 % of the known shifts of a channel


class Answer(NamedTuple):
    """One sentence about the data.

    Attributes
    ----------
    grade
        "good", "look" or "bad".
    words
        The sentence, with its number.
    link
        Where on the page the number is.
    """

    grade: str
    words: str
    link: str


def data_answers(
    row_counts: pd.DataFrame,
    dropped: pd.DataFrame | None,
    n_kept: int,
    alignment: pd.DataFrame | None,
    known_shifts: pd.DataFrame | None,
    covariates: pd.DataFrame | None,
    main_model: str,
    confounded: Sequence[Notice],
    panels: Collection[str],
) -> list[Answer]:
    """Return whether cells, tiles, focus, alignment, batches and controls of a run are good.

    Parameters
    ----------
    row_counts
        What became of the rows of the tables of cells.
    dropped
        Tiles with the number of cells that were dropped: n_cells; None for a screen without images.
    n_kept
        Number of cells that are left.
    alignment
        One row per tile and channel; None for a screen without images.
    known_shifts
        One row per known shift that was measured again; None for a screen without images.
    covariates
        The benchmark of technical covariates, if there is one.
    main_model
        The model whose space is looked at.
    confounded
        Warnings that perturbation and well are confounded.
    panels
        Figures of the page, to which an answer can lead.
    """
    share, reasons = lost_rows(row_counts)
    n_used = int(row_counts.loc[row_counts["reason"] == USED, "n_rows"].sum())
    lost = f"{share:.1%} lost: {reasons}" if reasons else "none lost"
    words = f"{style.counted(n_used, 'cells')} of the tables used, {lost}"
    answers = [Answer(graded(share, DROPPED), words, "#cell-rows")]
    if dropped is not None:
        n_dropped = int(dropped["n_cells"].sum())
        share = n_dropped / max(n_dropped + n_kept, 1)
        words = f"{style.counted(n_kept, 'cells')} cropped, {share:.1%} dropped"
        answers.append(Answer(graded(share, DROPPED), words, "#dropped"))
    if alignment is not None:
        tiles = alignment.groupby(["plate", "well", "tile"])["passed"].min().astype(bool)
        failed = float((~tiles).mean())
        used = f"{failed:.1%} could not be used" if failed else "all could be used"
        words = f"{style.counted(len(tiles), 'tiles')}, {used}"
        answers.append(Answer(graded(failed, FAILED), words, "#quality"))
        answers += _focus(alignment)
        link = "#figqc2" if "figqc2" in panels else "#alignment"
        answers += [answer._replace(link=link) for answer in _shifts(alignment, known_shifts)]
    if covariates is not None:
        told = choose(covariates, protocol="strict", model=main_model, space="combined")
        told = told[(told["item"] == "batch") & (told["metric"] == "auroc")]
        if len(told):
            auroc = float(told["value"].mean())
            answers.append(
                Answer(
                    graded(auroc, BATCH_AUROC),
                    f"batches: {style.model_name(main_model)} tells the batch of a NTC cell with "
                    f"an AUROC of {auroc:.2f} (0.5 is chance)",
                    "#fig3b" if "fig3b" in panels else "#quality",
                )
            )
    words = "NTC cells stand in wells of their own" if confounded else "NTC cells share the wells"
    answers.append(Answer("bad" if confounded else "good", words, "#quality"))
    return answers


def _focus(alignment: pd.DataFrame) -> list[Answer]:
    """Return how many tiles are out of focus; nothing is known of it where crops were given."""
    if (alignment["method"] == "given").all():
        return []
    blurred = alignment["reason"].str.contains(OUT_OF_FOCUS, regex=False)
    tiles = blurred.groupby([alignment[name] for name in ("plate", "well", "tile")]).max()
    words = (
        f"focus: {int(tiles.sum())} of {style.counted(len(tiles), 'tiles')} far less sharp than "
        "usual on their plate"
    )
    return [Answer(graded(float(tiles.mean()), FAILED), words, "#quality")]


def _shifts(alignment: pd.DataFrame, known_shifts: pd.DataFrame) -> list[Answer]:
    """Return how well channels are aligned; nothing if no channel is moved."""
    moved = alignment.loc[alignment["method"].isin(["measured", "consensus"]), "method"]
    if moved.empty:
        return []
    planted = known_shifts[known_shifts["check"] == "planted shift"]
    sure = planted[planted["confidence"] >= LEAST_SURE]
    words, grades = f"alignment: {len(sure)} of {len(planted)} known shifts are found", []
    if len(sure):
        error_px = sure.groupby(["channel", "against"])["error_px"].quantile(0.95).max()
        words += f", 95% of them to within {error_px:.2f} px (in the worst channel)"
        grades.append(graded(error_px, ERROR_PX))
    usual = float((moved == "consensus").mean())
    if usual:
        words += f"; {usual:.1%} of the tiles take the usual shift of their plate"
        grades.append(graded(usual, (MOST_CONSENSUS, 1)))
    if known_shift_warnings(known_shifts):
        grades.append("bad")
    return [Answer(max(grades, key=GRADES.index, default="good"), words, "#alignment")]


def next_steps(
    hits: pd.DataFrame | None, warnings: Sequence[Notice], confounded: Sequence[Notice]
) -> list[Answer]:
    """Return what the hits and the warnings suggest to do, each step once, the gravest first.

    Parameters
    ----------
    hits
        The table of hits, if there is one.
    warnings
        The warnings of the report, the gravest first.
    confounded
        Those that perturbation and well are confounded.
    """
    once: dict[str, Answer] = {}
    for notice in warnings:
        once.setdefault(notice.step, Answer(notice.grade, notice.step, notice.link))
    steps = list(once.values())
    if hits is None:
        return steps
    found = hits[hits["is_hit"]]
    alone = int((~found["survives_confounders"]).sum())
    words = ""
    if found.empty and confounded:
        words = (
            "There is no hit: whole wells are exchanged, so more wells of each gene would find "
            "some, more cells of a well would not."
        )
    elif found.empty:
        words = "There is no hit: figure S5 says whether more cells of each gene would find some."
    elif alone:
        words = (
            f"{style.counted(alone, 'hits')} may be effects of density or place alone (no in the "
            "column alone): look at them before you follow them."
        )
    n_bad = sum(step.grade == "bad" for step in steps)
    return steps[:n_bad] + ([Answer("look", words, "#hits")] if words else []) + steps[n_bad:]


def first_hits(
    hits: pd.DataFrame,
    pictures: Path | None,
    colours: Sequence[str],
    altered: Mapping[str, Sequence],
) -> list[dict]:
    """Return name, sentence and picture of the first hits.

    Parameters
    ----------
    hits
        The table of hits, sorted by q.
    pictures
        Folder of the explorer's pictures and their numbers, or None.
    colours
        ``#rrggbb`` of each channel.
    altered
        `altered_words` of the hits; empty where cells have no features.
    """
    rows, numbers = [], {}
    if pictures is not None:
        numbers = json.loads((pictures / NUMBERS).read_text(encoding="utf-8"))
    for row in hits[hits["is_hit"]].head(FIRST_HITS).to_dict("records"):
        picture = None
        if row["gene"] in numbers:
            sprite = read_picture(pictures, numbers[row["gene"]])
            picture = as_data_uri(composite(sprite, colours))
        name = row[level_of(hits)]
        words = in_words(row, altered.get(name, []))
        rows.append({"name": name, "words": words, "image": picture})
    return rows


def in_words(row: Mapping, altered: Sequence) -> str:
    """Return one sentence about a row of the table of hits.

    Parameters
    ----------
    row
        Its columns.
    altered
        Its altered features: words, robust z, words, robust z, ...
    """
    effect = {"novel": "a phenotype that NTC cells do not show", "shift": "a shift of NTC states"}
    parts = [effect.get(row.get("effect"), "an effect of either kind")]
    if altered:
        named = zip(altered[::2], altered[1::2], strict=True)
        changes = [f"{words} {'+' if z > 0 else '−'}{abs(z):.1f}" for words, z in named]
        parts.append(f"most altered (robust z): {', '.join(changes[:ALTERED])}")
    parts.append(f"q = {row['q_combined']:.2g}")
    parts.append(
        f"{row['n_guides_agree']} of {style.counted(row['n_guides'], 'guides')} show it alone "
        "(p below 0.05) and agree"
    )
    if row["neighbours"]:
        chance = row["neighbour_p"]
        as_near = f" (chance of one so near: {chance:.2g})" if np.isfinite(chance) else ""
        parts.append(f"nearest to {row['neighbours'].replace('; ', ', ')}{as_near}")
    if not row["survives_confounders"]:
        parts.append("may be an effect of density or place alone")
    return "; ".join(parts) + "."


def composite(sprite: np.ndarray, colours: Sequence[str]) -> Image.Image:
    """Return crops in colour, cells on the left and NTC cells of the same batches on the right.

    Parameters
    ----------
    sprite
        uint8 (channel x arm x y, cell x x); see `mcvae_ops.report.gene_pictures.sprite`.
    colours
        ``#rrggbb`` of each channel.
    """
    size = sprite.shape[0] // (2 * len(colours))
    grey = sprite.reshape(len(colours), 2, size, -1, size)[:, :, :, :CROPS]
    rgb = np.array([[int(colour[k : k + 2], 16) for k in (1, 3, 5)] for colour in colours])
    light = np.einsum("cayne,ck->ayenk", grey / 255.0, rgb / 255.0)  # (arm, y, x, cell, colour)
    cells, controls = light.transpose(0, 1, 3, 2, 4).reshape(2, size, -1, 3)
    between = np.ones((size, GAP_PX, 3))
    both = np.hstack([cells, between, controls])
    return Image.fromarray((255 * np.clip(both, 0, 1)).astype(np.uint8))


def as_data_uri(picture: Image.Image) -> str:
    """Return a picture as the address of an image in a page."""
    buffer = io.BytesIO()
    picture.save(buffer, "webp", quality=80)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
