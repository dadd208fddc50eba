"""Does a gene (or a guide) change the cells? Tests against the controls of its batches."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from mcvae_ops.benchmarks.hits.adjusted_activity import adjusted_distance
from mcvae_ops.benchmarks.hits.control_retrieval import retrieval_from_controls
from mcvae_ops.benchmarks.hits.effect_norms import effect_rows
from mcvae_ops.embeddings.density import density_features
from mcvae_ops.embeddings.embedded_cells import groups_of
from mcvae_ops.embeddings.spaces import in_space
from mcvae_ops.profiles.centred import CentredCells
from mcvae_ops.profiles.exchange import Stratum, strata_of
from mcvae_ops.profiles.sequential import MAX_Q
from mcvae_ops.profiles.significance import STATISTICS, exchanged_units, q_values

ACTIVE_P = 0.05  # of a guide that counts as active
SHOWN_CONFOUNDERS = {"density_change_sd": 1, "edge_change_sd": 3}  # columns of `confounders_of`


class Screen(NamedTuple):
    """Cells that are tested: rows of a table, their embedding, and where they belong.

    Attributes
    ----------
    cells
        plate, well, batch, tile, y_px, x_px, guide, gene, is_ntc.
    latent
        (cell, dimension), finite.
    spaces
        Space -> its columns in `latent`.
    batch_of
        (cell,), numbered from 0 on.
    """

    cells: pd.DataFrame
    latent: np.ndarray
    spaces: dict[str, list[int]]
    batch_of: np.ndarray

    @property
    def is_control(self) -> np.ndarray:
        """Which cells are controls, (cell,)."""
        return self.cells["is_ntc"].to_numpy()


class ActivityTest(NamedTuple):
    """How activity is tested: arguments of `mcvae_ops.profiles.significance.guide_significance`."""

    statistic: str
    permutations: int
    seed: int
    threads: int = 1


def hit_rows(
    screen: Screen, confounders: np.ndarray, level: str, tests: ActivityTest, guides: pd.DataFrame
) -> tuple[pd.DataFrame, np.ndarray]:
    """Return activity, agreement of guides and batches, and norms of each gene or guide.

    Parameters
    ----------
    screen
        Cells.
    confounders
        (cell, confounder), as `confounders_of` returns.
    level
        "gene", or "guide" for one row per guide (dose of a compound).
    tests
        How activity is tested.
    guides
        One row per guide: gene, is_active, agrees (see `mcvae_ops.benchmarks.hits.guide_rows`).

    Returns
    -------
    One row per targeting gene or guide with a control in its batches, sorted by gene and guide; and
    (row, dimension) difference of its cells from those controls.
    """
    keys = ["gene", "guide", "is_ntc"] if level == "guide" else ["gene", "is_ntc"]
    table, group_of = groups_of(screen.cells, keys)
    if level == "gene":
        table.insert(1, "guide", "")
    targeting = ~table["is_ntc"].to_numpy()
    for space, columns in screen.spaces.items():
        latent = in_space(screen.latent, columns)
        units = exchanged_units(screen.cells, latent, group_of)
        distance, p_values = STATISTICS[tests.statistic](*units, *tests[1:])
        score, p_of_score = retrieval_from_controls(*units, *tests[1:])
        table[f"distance_{space}"], table[f"p_{space}"] = distance, p_values
        table[f"q_{space}"] = q_values(p_values, targeting)
        table[f"map_{space}"], table[f"map_p_{space}"] = score, p_of_score
        table[f"map_q_{space}"] = q_values(p_of_score, targeting)
    combined = in_space(screen.latent, screen.spaces["combined"])
    units, confounding = (
        exchanged_units(screen.cells, values, group_of) for values in (combined, confounders)
    )
    _, table["p_without_confounders"] = adjusted_distance(
        units.latent, confounding.latent, *units[1:], *tests[1:]
    )
    table["q_without_confounders"] = q_values(table["p_without_confounders"].to_numpy(), targeting)
    table["is_hit"] = table["q_combined"] < MAX_Q
    table["survives_confounders"] = table["is_hit"] & (table["q_without_confounders"] < MAX_Q)
    table = table.merge(counts_by_gene(guides), on="gene", how="left")
    strata = strata_of(group_of, screen.batch_of, screen.is_control)
    kept = np.flatnonzero(targeting & np.array([len(each) > 0 for each in strata]))
    chosen = [strata[k] for k in kept]
    centred = CentredCells(screen.latent, screen.batch_of, screen.is_control)
    effects, profiles = effect_rows(centred, chosen, screen.spaces)
    table = table.loc[kept].drop(columns="is_ntc").reset_index(drop=True)
    return pd.concat([table, _changes(screen, confounders, chosen), effects], axis=1), profiles


def confounders_of(cells: pd.DataFrame, rows: np.ndarray) -> np.ndarray:
    """Return the density around some cells and their distance from the middle of the field of view.

    Parameters
    ----------
    cells, rows
        As for `density_features`.

    Returns
    -------
    (row, 4): the columns of `density_features`, then the distance in px (the larger of y and x); 0
    for cells whose crops came without positions.
    """
    place = cells[["y_px", "x_px"]].to_numpy(float)
    distance = np.zeros(len(cells))
    if (is_placed := np.isfinite(place).all(axis=1)).any():
        placed = place[is_placed]
        middle = (placed.max(axis=0) + placed.min(axis=0)) / 2
        distance[is_placed] = np.abs(placed - middle).max(axis=1)
    return np.column_stack([density_features(cells, rows), distance[rows]])


def _changes(screen: Screen, confounders: np.ndarray, groups: list[list[Stratum]]) -> pd.DataFrame:
    """Return how much denser, and nearer to an edge, cells of each group lie than its controls."""
    shown = confounders[:, list(SHOWN_CONFOUNDERS.values())]
    centred = CentredCells(shown, screen.batch_of, screen.is_control)
    spread = np.concatenate(list(centred.controls.values())).std(axis=0)
    rows = []
    for strata in groups:
        means = np.stack([centred[stratum.rows].mean(axis=0) for stratum in strata])
        rows.append(np.average(means, axis=0, weights=[stratum.weight for stratum in strata]))
    change = np.array(rows).reshape(-1, shown.shape[1])
    scaled = np.divide(change, spread, out=np.zeros_like(change), where=spread > 0)
    return pd.DataFrame(scaled, columns=list(SHOWN_CONFOUNDERS))


def counts_by_gene(guides: pd.DataFrame) -> pd.DataFrame:
    """Return by gene: guides, those active by themselves, and of these those that agree.

    Parameters
    ----------
    guides
        As for `hit_rows`.
    """
    counted = guides.assign(
        n_guides=1,
        n_guides_active=guides["is_active"],
        n_guides_agree=guides["is_active"] & guides["agrees"],
    )
    return counted.groupby("gene")[["n_guides", "n_guides_active", "n_guides_agree"]].sum()
