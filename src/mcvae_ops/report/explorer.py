"""Write the explorer: a page with the map of guides and genes, and crops of every gene.

The page holds the map. Pictures are in a folder beside it, one per gene, and are loaded on demand,
without a server.
"""

import base64
import io
import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from mcvae_ops.benchmarks.estimates.functional_groups import group_of_genes
from mcvae_ops.benchmarks.hits.hit_names import level_of, names_of
from mcvae_ops.embeddings.spaces import latent_columns, spaces_of
from mcvae_ops.figures import style
from mcvae_ops.figures.draw import METADATA
from mcvae_ops.figures.figs_counterfactuals import KINDS
from mcvae_ops.figures.figs_hits import figs3
from mcvae_ops.files import read_codes, read_frame, whole_folder, write_text
from mcvae_ops.progress import Progress
from mcvae_ops.report import gene_pictures
from mcvae_ops.report.altered_words import altered_words
from mcvae_ops.report.control_reach import FEWEST_CONTROLS, control_reach
from mcvae_ops.report.counterfactual_pictures import counterfactual_pictures
from mcvae_ops.report.gene_links import pages_of_genes
from mcvae_ops.report.hit_columns import alone_in_words, json_numbers
from mcvae_ops.report.hit_similarity import MOST, similarity
from mcvae_ops.report.templates import environment
from mcvae_ops.screen import length_of, reworded
from mcvae_ops.shards.crops import Crops
from mcvae_ops.shards.training_cells import Cells, read_training_cells
from mcvae_ops.tiles.given_crops import GivenCrops

NEAREST = "nearest"  # the page makes buttons of the names behind it


def points(
    profiles: pd.DataFrame, maps: pd.DataFrame, name: str, controls: pd.DataFrame
) -> dict[str, list | dict]:
    """Return the columns that the page shows of guides or genes.

    Parameters
    ----------
    profiles
        Columns gene, is_ntc, n_cells, `name` and latent columns, including controls; of genes
        n_guides.
    maps
        UMAPs of these profiles: name, space, x, y. Profiles without coordinates are not drawn.
    name
        Column with the names of profiles: guide or gene.
    controls
        Profiles of the control guides: latent columns.

    Returns
    -------
    name, gene, ntc, n; for each space the distance from controls, in multiples of what
    `control_reach` returns (in latent units with too few control guides), and x and y, alternating.
    """
    shown = profiles if name == "guide" else profiles[~profiles["is_ntc"]]
    away = from_controls(profiles).loc[shown.index]
    sizes = shown["n_guides"] if name == "gene" else pd.Series(1, shown.index)
    shown_columns = {
        "name": shown[name].tolist(),
        "gene": shown["gene"].tolist(),
        "ntc": shown["is_ntc"].astype(int).tolist(),
        "n": shown["n_cells"].tolist(),
        "distance": {},
        "xy": {},
    }
    for space, latent in spaces_of(profiles.columns).items():
        reach = control_reach(controls[latent].to_numpy(float), sorted(set(sizes)))
        unit = sizes.map(reach).replace(0, np.nan).fillna(1).to_numpy()
        norm = np.linalg.norm(away[latent], axis=1)
        shown_columns["distance"][space] = json_numbers(norm / unit, 4)
        places = maps[maps["space"] == space].set_index("name")[["x", "y"]].reindex(shown[name])
        shown_columns["xy"][space] = json_numbers(places.to_numpy().ravel(), 3)
    return shown_columns


def from_controls(profiles: pd.DataFrame) -> pd.DataFrame:
    """Return the latent columns of profiles minus the mean of the controls among them."""
    latent = profiles[latent_columns(profiles.columns)]
    return latent - latent[profiles["is_ntc"]].mean()


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
        if np.isfinite(row["neighbour_p"]):
            shown["chance of one so near"] = f"{row['neighbour_p']:.2g}"
        lines[row[level_of(hits)]] = [
            [reworded(word, words), value] for word, value in shown.items()
        ]
    return lines


def hit_figure(hits: pd.DataFrame, words: dict) -> str:
    """Return Fig. S3, which shows effect and q of every row, as a data URI of a PNG."""
    picture = io.BytesIO()
    with style.house(words):
        figs3({"hits": hits}, {}, {})[0].savefig(picture, format="png", metadata=METADATA["png"])
    return "data:image/png;base64," + base64.b64encode(picture.getvalue()).decode()


def hit_table(hits: pd.DataFrame, distance: dict[str, float | None]) -> dict[str, list]:
    """Return the columns of the page's table of hits, from the surest on.

    Parameters
    ----------
    hits
        The table of hits, sorted by q.
    distance
        Name -> distance from the controls that the page shows.
    """
    names = names_of(hits).tolist()
    agree = hits["n_guides_agree"].astype(str) + " of " + hits["n_guides"].astype(str)
    # A model without a salient space does not say what kind an effect is of.
    effect = {"effect": hits["effect"].tolist()} if "effect" in hits else {}
    return {
        "name": names,
        "hit": np.where(hits["is_hit"], "yes", "").tolist(),
        "q": json_numbers(hits["q_combined"], 6),
        "distance, all cells": [distance.get(name) for name in names],
        "mAP": json_numbers(hits["map_combined"], 3),
        **effect,
        "guides that agree": agree.tolist(),
        "tested cells": hits["n_cells"].tolist(),
        "alone": alone_in_words(hits),
        "group": hits["group"].tolist(),
        NEAREST: hits["neighbours"].str.partition("; ")[0].tolist(),
        "chance of one so near": json_numbers(hits["neighbour_p"], 6),
    }


def hit_similarity(profiles: pd.DataFrame, hits: pd.DataFrame) -> dict[str, list]:
    """Return what `similarity` does of the surest hits, from their profiles of all cells.

    Parameters
    ----------
    profiles
        Profiles of the level of the hits, with controls and the column gene or guide.
    hits
        The table of hits, sorted by q.
    """
    away = from_controls(profiles).set_axis(profiles[level_of(hits)])
    away = away.drop(columns=[name for name in away if name.startswith("t_")]).dropna()
    names = [name for name in names_of(hits[hits["is_hit"]]) if name in away.index][:MOST]
    return similarity(names, away.loc[names].to_numpy(float))


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
    """Write the pictures and their numbers; return the picture number of each gene."""
    shown = painter.paint(chosen.positions)
    controls, control = np.unique(chosen.controls, return_inverse=True)
    beside = painter.paint(controls)
    labels, starts = np.unique(chosen.label, return_index=True)
    stops = np.append(starts, len(chosen.label))[1:]
    progress, numbers = Progress(len(labels), "genes", "draw montages"), {}
    for number, (label, start, stop) in enumerate(zip(labels, starts, stops, strict=True)):
        picture = gene_pictures.sprite(shown[start:stop], beside[control[start:stop]])
        gene_pictures.write_picture(picture, folder, number)
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


def draw_montages(
    crops: Crops | GivenCrops, guide: np.ndarray, crops_per_gene: int, folder: Path
) -> dict:
    """Write the picture of every gene; return what `montages` does.

    Parameters
    ----------
    crops
        Of all cells.
    guide
        Number of the guide of each cell.
    crops_per_gene
        Largest number of crops of a gene.
    folder
        Of the pictures.
    """
    chosen, controls = choose_crops(crops.cells, guide, crops_per_gene)
    painter = gene_pictures.Painter(crops, controls)
    numbers = write_pictures(chosen, painter, crops.cells.labels, folder)
    return montages(chosen, numbers, crops.cells, guide)


def _crops_of(index: str, cells: Cells, given: dict | None) -> Crops | GivenCrops | None:
    """Return the crops of a screen, or those given beside embeddings; None if there are none."""
    if given:
        return GivenCrops(index, cells, **given)
    return Crops(Path(index).parents[1], cells) if cells.shards != [""] else None


def explorer(
    index: str,
    cells: str,
    guides: str,
    genes: str,
    maps: str,
    groups: str,
    hits: str,
    features: str | None,
    counterfactuals: Sequence[str],
    source: str,
    screen: dict,
    crops_per_gene: int,
    given: dict | None,
    archive: dict,
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
    features
        Classical features that each hit alters (parquet); None where cells have no features.
    counterfactuals
        See `counterfactual_pictures`.
    source
        Where the screen comes from: simulated, archive or embeddings.
    screen
        name, channels, pixel_size_um, organism and words.
    crops_per_gene
        Largest number of crops of a gene.
    given
        Where crops are given beside embeddings: screen, size_px and cache of `GivenCrops`.
    archive
        Section of the configuration.
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
    control_guides = profiles["guide"][profiles["guide"]["is_ntc"]]
    data = {
        level: points(profiles[level], table[table["level"] == level], level, control_guides)
        for level in profiles
    }
    every = read_training_cells(cells)
    guide = _guide_numbers(index, data["guide"]["name"])
    crops = _crops_of(index, every, given and given | {"archive": archive})
    with whole_folder(pictures) as folder:
        data["montages"] = draw_montages(crops, guide, crops_per_gene, folder) if crops else {}
    data["group"] = {gene: name for gene, name in group.items() if name}
    found = read_frame(hits)
    level = level_of(found)
    distance = dict(zip(data[level]["name"], data[level]["distance"]["combined"], strict=True))
    data["level"] = level
    data["hits"] = hit_lines(found, screen["words"])
    data["table"] = hit_table(found, distance)
    data["similarity"] = hit_similarity(profiles[level], found)
    data["altered"] = altered_words(read_frame(features), screen["channels"]) if features else {}
    data["counterfactuals"] = counterfactual_pictures(counterfactuals, screen["channels"])
    data["kinds"] = [kind.replace("\n", " ") for kind in KINDS.values()]
    data["pages"] = pages_of_genes(source, screen["organism"], screen["words"])
    data["screen"], data["pixel_um"] = screen["name"], screen["pixel_size_um"]
    data["multiples"] = len(control_guides) >= FEWEST_CONTROLS
    data["batches"] = every.batches
    data["channels"] = screen["channels"] if crops else []
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
            crop_size=crops and length_of(crops.shape[-1], screen["pixel_size_um"]),
            shown=gene_pictures.SHOWN,
            say=partial(reworded, words=screen["words"]),
            level=level,
            most=MOST,
            figure=hit_figure(found, screen["words"]) if len(found) else "",
            n_hits=int(found["is_hit"].sum()),
            n_tested=len(found),
            altered=bool(data["altered"]),
            n_controls=len(control_guides) if data["multiples"] else 0,
            data=data,
        )
    )
    write_text(page, html)
