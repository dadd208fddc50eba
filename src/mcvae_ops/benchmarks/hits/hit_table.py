"""The table of hits: one row per gene (or compound and dose), from the cells of one embedding.

Activity is tested against the controls of the same batches (see `mcvae_ops.profiles.exchange`), in
each space, with p and q (Benjamini & Hochberg over genes); then again after what the density of
cells and the place in the field of view explain has been taken out. Only cells that a trained model
never saw are used.
"""

import logging
from typing import NamedTuple

import numpy as np
import pandas as pd

from mcvae_ops.benchmarks.covariates.density import density_features
from mcvae_ops.benchmarks.estimates.functional_groups import group_of_genes
from mcvae_ops.benchmarks.hits.effect_norms import Effect, effect_of, squared_norm
from mcvae_ops.benchmarks.hits.neighbours import nearest_genes, predicted_groups
from mcvae_ops.embeddings.spaces import spaces_of
from mcvae_ops.files import read_frame, write_csv, write_parquet
from mcvae_ops.profiles.aggregate import TRAINING_SPLITS, read_embedded_cells
from mcvae_ops.profiles.exchange import Stratum, centre_on_controls, strata_of
from mcvae_ops.profiles.significance import STATISTICS, batch_numbers, exchanged_units, q_values

logger = logging.getLogger(__name__)

MAX_Q = 0.05  # of a hit
ACTIVE_P = 0.05  # of a guide that counts as active


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


def hit_rows(
    screen: Screen, confounders: np.ndarray, statistic: str, permutations: int, seed: int
) -> tuple[pd.DataFrame, np.ndarray]:
    """Return activity, agreement of guides and batches, and norms of each gene.

    Parameters
    ----------
    screen
        Cells.
    confounders
        (cell, confounder): density and place.
    statistic, permutations, seed
        As in `mcvae_ops.profiles.significance.guide_significance`.

    Returns
    -------
    One row per targeting gene with a control in its batches, sorted by gene; and (gene, dimension)
    difference of its cells from those controls.
    """
    genes = screen.cells.groupby(["gene", "is_ntc"], sort=True)
    table, gene_of = genes.size().rename("n_cells").reset_index(), genes.ngroup().to_numpy()
    targeting = ~table["is_ntc"].to_numpy()
    for space, columns in screen.spaces.items():
        found = _test(screen, screen.latent[:, columns], gene_of, statistic, permutations, seed)
        table[f"distance_{space}"], table[f"p_{space}"] = found
        table[f"q_{space}"] = q_values(found[1], targeting)
    rest = without_confounders(screen, confounders)
    _, p_rest = _test(
        screen, rest[:, screen.spaces["combined"]], gene_of, statistic, permutations, seed
    )
    table["q_without_confounders"] = q_values(p_rest, targeting)
    table["is_hit"] = table["q_combined"] < MAX_Q
    table["survives_confounders"] = table["is_hit"] & (table["q_without_confounders"] < MAX_Q)
    guides = _agreement(screen, statistic, permutations, seed)
    table = table.merge(guides, on="gene", how="left")
    strata = strata_of(gene_of, screen.batch_of, screen.is_control)
    kept = np.flatnonzero(targeting & np.array([len(each) > 0 for each in strata]))
    norms, profiles = _effects(screen, [strata[k] for k in kept])
    table = table.loc[kept].drop(columns="is_ntc").reset_index(drop=True)
    return pd.concat([table, norms], axis=1), profiles


def without_confounders(screen: Screen, confounders: np.ndarray) -> np.ndarray:
    """Return the embedding less what confounders explain of it in the controls of each batch.

    Linear regression within batches, fitted on all controls together.
    """
    latent, _ = centre_on_controls(screen.latent, screen.batch_of, screen.is_control)
    x, _ = centre_on_controls(confounders, screen.batch_of, screen.is_control)
    fitted = screen.is_control
    slopes = np.linalg.lstsq(x[fitted], latent[fitted], rcond=None)[0]
    return latent - x @ slopes


def confounders_of(cells: pd.DataFrame) -> np.ndarray:
    """Return the density around each cell and its distance from the middle of the field of view."""
    place = cells[["y_px", "x_px"]].to_numpy(float)
    middle = (place.max(axis=0) + place.min(axis=0)) / 2
    return np.column_stack([density_features(cells), np.abs(place - middle).max(axis=1)])


def _test(
    screen: Screen, latent: np.ndarray, group_of: np.ndarray, statistic: str, n: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    return STATISTICS[statistic](*exchanged_units(screen.cells, latent, group_of), n, seed)


def _agreement(screen: Screen, statistic: str, permutations: int, seed: int) -> pd.DataFrame:
    """Return by gene: guides, those active by themselves, and those that point where others do."""
    groups = screen.cells.groupby(["gene", "guide", "is_ntc"], sort=True)
    table, guide_of = groups.size().reset_index(), groups.ngroup().to_numpy()
    latent = screen.latent[:, screen.spaces["combined"]]
    _, p_values = _test(screen, latent, guide_of, statistic, permutations, seed)
    centred, _ = centre_on_controls(latent, screen.batch_of, screen.is_control)
    means = pd.DataFrame(centred).groupby(guide_of).mean().to_numpy()
    others = pd.DataFrame(means).groupby(table["gene"].to_numpy()).transform("sum").to_numpy()
    agrees = ((others - means) * means).sum(axis=1) > 0
    active = p_values < ACTIVE_P
    table = table.assign(n_guides=1, n_guides_active=active, n_guides_agree=active & agrees)
    return table.groupby("gene")[["n_guides", "n_guides_active", "n_guides_agree"]].sum()


def _effects(screen: Screen, groups: list[list[Stratum]]) -> tuple[pd.DataFrame, np.ndarray]:
    """Return norms with intervals, replicate correlation and class of each gene; its profile."""
    centred, controls = centre_on_controls(screen.latent, screen.batch_of, screen.is_control)
    pooled = np.concatenate(list(controls.values()))
    covariance = pooled.T @ pooled / max(1, len(pooled) - len(controls))
    rows, profiles = [], []
    for strata in groups:
        effect = effect_of(centred, strata, covariance)
        row = {"n_batches": len(strata), **_replicates(effect, strata)}
        for space in ("salient", "background"):
            if space in screen.spaces:
                at = screen.spaces[space]
                part = Effect(effect.mean[at], effect.covariance[np.ix_(at, at)], effect.by_batch)
                names = (f"{space}_norm", f"{space}_norm_low", f"{space}_norm_high")
                row |= dict(zip(names, squared_norm(part), strict=True))
        rows.append(row)
        profiles.append(effect.mean)
    table = pd.DataFrame(rows)
    if "salient" in screen.spaces:
        is_moved = [table[f"{space}_norm_low"] > 0 for space in ("salient", "background")]
        table["effect"] = np.select([is_moved[0], is_moved[1]], ["novel", "shift"], "")
    return table, np.array(profiles).reshape(len(rows), -1)


def _replicates(effect: Effect, strata: list[Stratum]) -> dict:
    """Return the correlation of two halves of the batches, and the batches that agree."""
    if len(strata) < 2:
        return {"replicate_correlation": np.nan, "n_batches_agree": np.nan}
    weights = np.array([stratum.weight for stratum in strata])[:, None]
    weighted = weights * effect.by_batch
    halves = [weighted[k::2].sum(axis=0) / weights[k::2].sum() for k in (0, 1)]
    others = weighted.sum(axis=0) - weighted
    agree = (others * weighted).sum(axis=1) > 0
    return {
        "replicate_correlation": float(np.corrcoef(*halves)[0, 1]),
        "n_batches_agree": int(agree.sum()),
    }


def add_annotations(
    table: pd.DataFrame,
    profiles: np.ndarray,
    complexes: pd.DataFrame,
    groups: pd.DataFrame,
    seed: int,
) -> pd.DataFrame:
    """Add complexes, functional group, nearest genes and predicted groups.

    Parameters
    ----------
    table, profiles
        As `hit_rows` returns.
    complexes, groups
        Columns complex, gene; and gene, group. Either may be empty.
    seed
        Of the folds.
    """
    genes = table["gene"].to_numpy(str)
    complexes_of = complexes.groupby("gene")["complex"].agg(sorted)
    named = [
        sorted({c for part in {gene, *gene.split("&")} for c in complexes_of.get(part, ())})
        for gene in genes
    ]
    group_of = np.array(list(group_of_genes(genes, groups, split_merged=True).values()), str)
    related = np.array([[bool(set(a) & set(b)) for a in named] for b in named])
    related |= (group_of[:, None] == group_of) & (group_of[:, None] != "")
    sets, coverage = predicted_groups(profiles, genes, group_of, seed)
    return table.assign(
        complexes=["; ".join(each) for each in named],
        group=group_of,
        **nearest_genes(profiles, genes, related),
        predicted_groups=sets.to_numpy(),
        predicted_groups_cover=coverage,
    )


def count_changes(cells: pd.DataFrame) -> pd.Series:
    """Return log2 of the cells per guide of each gene over those of a median control guide."""
    sizes = cells.groupby(["gene", "guide", "is_ntc"]).size().rename("n").reset_index()
    control = sizes.loc[sizes["is_ntc"], "n"].median()
    per_guide = sizes[~sizes["is_ntc"]].groupby("gene")["n"].mean()
    return np.log2(per_guide / control).rename("log2_cell_count")


def hits(
    index: str,
    splits: str,
    embedding: str,
    mitotic_index: str | None,
    complexes: str,
    groups: str,
    trained: bool,
    statistic: str,
    permutations: int,
    seed: int,
    hits: str,
    hits_text: str,
) -> None:
    """Write the table of hits.

    Parameters
    ----------
    index, splits, embedding
        Cells, their split and their embedding, row-aligned.
    mitotic_index
        Table of the mitotic index; None where the screen has none.
    complexes, groups
        Annotation tables (complex, gene) and (gene, group); may be empty.
    trained
        Whether the embedding is that of a trained model: only cells that it never saw are used.
    statistic, permutations, seed
        As in `mcvae_ops.profiles.significance.guide_significance`.
    hits, hits_text
        Outputs: parquet, and the same as tab-separated text; sorted by q.
    """
    cells, latent, columns = read_embedded_cells(index, splits, embedding)
    place = read_frame(index, columns=["tile", "y_px", "x_px"])
    cells = cells.join(place)
    tested = np.isfinite(latent).all(axis=1)
    if trained:
        tested &= ~cells["split"].isin(TRAINING_SPLITS).to_numpy()
    spaces = {
        space: [columns.index(name) for name in names]
        for space, names in spaces_of(columns).items()
    }
    chosen = cells[tested].reset_index(drop=True)
    screen = Screen(chosen, latent[tested], spaces, batch_numbers(chosen))
    table, profiles = hit_rows(screen, confounders_of(cells)[tested], statistic, permutations, seed)
    annotated = (read_frame(path) for path in (complexes, groups))
    table = add_annotations(table, profiles[:, spaces["combined"]], *annotated, seed)
    table = table.merge(count_changes(cells), on="gene", how="left")
    if mitotic_index:
        percent = read_frame(mitotic_index)
        percent = percent[(percent["level"] == "gene") & (percent["cells"] == "all")]
        percent = percent.set_index("name")["mitotic_index_percent"]
        table["mitotic_index_percent"] = table["gene"].map(percent)
    table = table.sort_values(["q_combined", "p_combined", "gene"]).reset_index(drop=True)
    write_parquet(table, hits)
    write_csv(table, hits_text, "%.4g")
