"""Write the explorer: a page with the map of guides and genes, and crops of every gene.

The page holds the map. Pictures are in a folder beside it, one per gene, and are loaded on demand,
without a server.
"""

import json
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from mcvae_ops.benchmarks.estimates.functional_groups import group_of_genes
from mcvae_ops.benchmarks.hits.hit_names import level_of, names_of
from mcvae_ops.embeddings.spaces import latent_columns, spaces_of
from mcvae_ops.figures import style
from mcvae_ops.files import read_codes, read_frame, whole_folder, write_text
from mcvae_ops.progress import Progress
from mcvae_ops.report import gene_pictures
from mcvae_ops.report.templates import environment
from mcvae_ops.screen import length_of, reworded
from mcvae_ops.shards.crops import Crops
from mcvae_ops.shards.training_cells import Cells, read_training_cells

NEAREST = "nearest"  # the page makes buttons of the names behind it


def points(profiles: pd.DataFrame, maps: pd.DataFrame, name: str) -> dict:
    """Return the columns that the page shows of guides or genes.

    Parameters
    ----------
    profiles
        Columns gene, is_ntc, n_cells, `name` and latent columns, including controls.
    maps
        UMAPs of these profiles: name, space, x, y. Profiles without coordinates are not drawn.
    name
        Column with the names of profiles: guide or gene.

    Returns
    -------
    name, gene, ntc, n; for each space the distance from controls, and x and y, alternating.
    """
    columns = latent_columns(profiles.columns)
    away = profiles[columns] - profiles.loc[profiles["is_ntc"], columns].mean()
    shown = profiles if name == "guide" else profiles[~profiles["is_ntc"]]
    shown_columns = {
        "name": shown[name].tolist(),
        "gene": shown["gene"].tolist(),
        "ntc": shown["is_ntc"].astype(int).tolist(),
        "n": shown["n_cells"].tolist(),
        "distance": {},
        "xy": {},
    }
    for space, latent in spaces_of(profiles.columns).items():
        norm = np.linalg.norm(away.loc[shown.index, latent], axis=1)
        shown_columns["distance"][space] = _numbers(norm, 4)
        places = maps[maps["space"] == space].set_index("name")[["x", "y"]].reindex(shown[name])
        shown_columns["xy"][space] = _numbers(places.to_numpy().ravel(), 3)
    return shown_columns


def hit_lines(hits: pd.DataFrame, words: dict) -> dict[str, list[list[str]]]:
    """Return what the page says of each row of the table of hits: (word, value) by name.

    Parameters
    ----------
    hits
        The table of hits.
    words
        Words of the screen for genes, guides and controls.
    """
    lines = {}
    for row in hits.to_dict("records"):
        shown = {
            "hit": f"{'yes' if row['is_hit'] else 'no'}, q = {row['q_combined']:.2g}",
            "mAP against NTC": f"{row['map_combined']:.2f}, q = {row['map_q_combined']:.2g}",
            "effect": row.get("effect", "") or "neither salient nor background for sure",
            "guides that agree": f"{row['n_guides_agree']} of {row['n_guides']}",
            NEAREST: row["neighbours"],
        }
        lines[row[level_of(hits)]] = [
            [reworded(word, words), value] for word, value in shown.items()
        ]
    return lines


def hit_table(hits: pd.DataFrame) -> dict[str, list]:
    """Return the columns of the page's table of hits, from the surest on.

    Parameters
    ----------
    hits
        The table of hits, sorted by q.
    """
    agree = hits["n_guides_agree"].astype(str) + " of " + hits["n_guides"].astype(str)
    # A model without a salient space does not say what kind an effect is of.
    effect = {"effect": hits["effect"].tolist()} if "effect" in hits else {}
    return {
        "name": names_of(hits).tolist(),
        "hit": np.where(hits["is_hit"], "yes", "").tolist(),
        "q": _numbers(hits["q_combined"], 6),
        "distance": _numbers(hits["distance_combined"], 3),
        "mAP": _numbers(hits["map_combined"], 3),
        **effect,
        "guides that agree": agree.tolist(),
        "cells": hits["n_cells"].tolist(),
        "alone": np.where(hits["survives_confounders"], "yes", "no").tolist(),
        "group": hits["group"].tolist(),
    }


def _numbers(values: np.ndarray, digits: int) -> list[float | None]:
    """Return rounded numbers; NaN becomes None, because JSON has no NaN."""
    return [round(float(value), digits) if np.isfinite(value) else None for value in values]


def _guide_numbers(index: str, names: list[str]) -> np.ndarray:
    """Return the position in `names` of the guide of each cell, -1 for other guides."""
    guides = read_codes(index, ["guide"])["guide"].combine_chunks()
    number = {name: k for k, name in enumerate(names)}
    known = [number.get(name, -1) for name in guides.dictionary.to_pylist()]
    return np.array(known, np.int32)[guides.indices.to_numpy()]


def choose_crops(
    cells: Cells, guide: np.ndarray, n: int
) -> tuple[gene_pictures.Choice, list[np.ndarray]]:
    """Return up to `n` cells of each gene, and the controls of each batch."""
    order = np.random.default_rng(0).permutation(len(cells))
    controls = gene_pictures.choose_controls(cells.label, cells.batch, order)
    return gene_pictures.choose_cells(cells.label, guide, cells.batch, controls, order, n), controls


def write_pictures(
    chosen: gene_pictures.Choice, painter: gene_pictures.Painter, genes: list[str], folder: Path
) -> dict[str, int]:
    """Write ``0000.webp``, ... and their numbers; return the picture number of each gene."""
    shown = painter.paint(chosen.positions)
    controls, control = np.unique(chosen.controls, return_inverse=True)
    beside = painter.paint(controls)
    labels, starts = np.unique(chosen.label, return_index=True)
    stops = np.append(starts, len(chosen.label))[1:]
    progress, numbers = Progress(len(labels), "genes", "draw montages"), {}
    for number, (label, start, stop) in enumerate(zip(labels, starts, stops, strict=True)):
        picture = gene_pictures.sprite(shown[start:stop], beside[control[start:stop]])
        picture.save(folder / f"{number:04d}.webp", quality=gene_pictures.QUALITY)
        numbers[genes[label]] = number
        progress.step()
    write_text(json.dumps(numbers), folder / gene_pictures.NUMBERS)
    return numbers


def montages(
    chosen: gene_pictures.Choice, numbers: dict[str, int], cells: Cells, guide: np.ndarray
) -> dict:
    """Return the picture number of each gene, and guide and batch of its crops, alternating.

    Parameters
    ----------
    chosen
        The crops.
    numbers
        gene -> picture number.
    cells
        Cells of the index.
    guide
        Number of the guide of each cell.
    """
    montage_of = {gene: {"picture": number, "crops": []} for gene, number in numbers.items()}
    for position, label in zip(chosen.positions, chosen.label, strict=True):
        crops = montage_of[cells.labels[label]]["crops"]
        crops += [int(guide[position]), int(cells.batch[position])]
    return montage_of


def explorer(
    index: str,
    cells: str,
    guides: str,
    genes: str,
    maps: str,
    groups: str,
    hits: str,
    screen: dict,
    crops_per_gene: int,
    html: str,
    pictures: str,
) -> None:
    """Write the explorer of a run.

    Parameters
    ----------
    index
        Shard index (parquet).
    cells
        Its numbers (rule training_cells).
    guides, genes
        Profiles of the main model; the page shows profiles of all cells.
    maps
        UMAPs of these profiles (parquet): level, name, space, x, y.
    groups
        Functional groups (parquet): gene, group.
    hits
        Table of hits (parquet).
    screen
        name, channels, pixel_size_um and words.
    crops_per_gene
        Largest number of crops of a gene.
    html, pictures
        Outputs: the page, and the folder of pictures beside it.
    """
    profiles = {
        level: read_frame(path, filters=[("cells", "==", "all")])
        for level, path in (("gene", genes), ("guide", guides))
    }
    group = group_of_genes(
        sorted(set(profiles["guide"]["gene"])), read_frame(groups), split_merged=True
    )
    table = read_frame(maps)
    data = {
        level: points(profiles[level], table[table["level"] == level], level) for level in profiles
    }
    every = read_training_cells(cells)
    guide = _guide_numbers(index, data["guide"]["name"])
    chosen, controls = choose_crops(every, guide, crops_per_gene)
    crops = Crops(Path(index).parents[1], every)
    painter = gene_pictures.Painter(crops, controls)
    with whole_folder(pictures) as folder:
        numbers = write_pictures(chosen, painter, every.labels, folder)
    data["group"] = {gene: name for gene, name in group.items() if name}
    data["montages"] = montages(chosen, numbers, every, guide)
    found = read_frame(hits)
    data["hits"] = hit_lines(found, screen["words"])
    data["table"] = hit_table(found)
    data["batches"] = every.batches
    data["channels"] = screen["channels"]
    data["words"] = {word: reworded(word, screen["words"]) for word in ("gene", "guide", "NTC")}
    data["folder"] = Path(pictures).name
    data["styles"] = style.group_styles(sorted(set(data["group"].values()), key=str.lower))
    first = profiles["gene"].iloc[0]
    page = (
        environment()
        .get_template("explorer.html")
        .render(
            screen=screen,
            training=f"{style.model_name(first['model'])}, seed {first['seed']}",
            crop_size=length_of(crops.shape[-1], screen["pixel_size_um"]),
            shown=gene_pictures.SHOWN,
            say=partial(reworded, words=screen["words"]),
            level=level_of(found),
            data=json.dumps(data, separators=(",", ":")).replace("<", "\\u003c"),
        )
    )
    write_text(page, html)
