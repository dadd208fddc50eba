"""The table of hits: one row per gene (or compound and dose), from the cells of one embedding.

Activity is tested against the controls of the same batches (see `mcvae_ops.profiles.exchange`), in
each space, with p and q (Benjamini & Hochberg over rows); then again after what the density of
cells and the place in the field of view explain has been taken out. Only cells that a trained model
never saw are used.
"""

import logging

import numpy as np
import pandas as pd
from scipy import sparse

from mcvae_ops.benchmarks.doses.dose_response import doses_of
from mcvae_ops.benchmarks.estimates.functional_groups import group_of_genes
from mcvae_ops.benchmarks.hits.activity import ActivityTest, Screen, confounders_of, hit_rows
from mcvae_ops.benchmarks.hits.guide_rows import guide_rows
from mcvae_ops.benchmarks.hits.neighbours import nearest_rows, predicted_groups
from mcvae_ops.benchmarks.hits.proximity import arm_resemblance
from mcvae_ops.embeddings.embedded_cells import batch_numbers, groups_of, is_unseen, read_cells
from mcvae_ops.embeddings.spaces import space_dimensions
from mcvae_ops.files import read_frame, write_csv, write_parquet
from mcvae_ops.profiles.aggregate import read_embedded_cells
from mcvae_ops.screen import symbols_of

logger = logging.getLogger(__name__)


def add_annotations(
    table: pd.DataFrame,
    profiles: np.ndarray,
    complexes: pd.DataFrame,
    groups: pd.DataFrame,
    arms: pd.DataFrame,
    seed: int,
) -> pd.DataFrame:
    """Add complexes, functional group, nearest genes, predicted groups and chromosome arm.

    Parameters
    ----------
    table, profiles
        As `hit_rows` returns.
    complexes, groups, arms
        Columns complex, gene; gene, group; and gene, arm. Each may be empty.
    seed
        Of the folds.
    """
    genes = table["gene"].to_numpy(str)
    complexes_of, arms_of = _named(genes, complexes, "complex"), _named(genes, arms, "arm")
    group_by_gene = group_of_genes(genes, groups, split_merged=True)
    group_of = np.array([group_by_gene[gene] for gene in genes], str)
    related = _share(complexes_of) | (genes[:, None] == genes)
    related |= (group_of[:, None] == group_of) & (group_of[:, None] != "")
    names = np.where(table["guide"] == "", genes, table["guide"].to_numpy(str))
    sets, coverage = predicted_groups(profiles, genes, group_of, seed)
    arm_of = np.array([each[0] if len(each) == 1 else "" for each in arms_of], str)
    known = {"complexes": ["; ".join(each) for each in complexes_of], "group": group_of}
    predicted = {"predicted_groups": sets, "predicted_groups_cover": coverage}
    near = nearest_rows(profiles, names, genes, related)
    return pd.concat(
        [
            table.assign(**known),
            near.assign(**predicted),
            arm_resemblance(profiles, arm_of, related),
        ],
        axis=1,
    )


def _named(genes: np.ndarray, annotation: pd.DataFrame, column: str) -> list[list[str]]:
    """Return what an annotation says of each gene, sorted; of both symbols of a merged gene."""
    known = annotation.groupby("gene")[column].agg(set)
    symbols = [[s for s in symbols_of(gene) if s in known.index] for gene in genes]
    return [sorted(set().union(*(known[symbol] for symbol in each))) for each in symbols]


def _share(names_of: list[list[str]]) -> np.ndarray:
    """Return which rows have a name in common, (row, row)."""
    row = np.repeat(np.arange(len(names_of)), [len(each) for each in names_of])
    names, column = np.unique([name for each in names_of for name in each], return_inverse=True)
    shape = (len(names_of), len(names))
    belongs = sparse.csr_array((np.ones(len(row)), (row, column)), shape=shape)
    return (belongs @ belongs.T).toarray() > 0


def count_changes(cells: pd.DataFrame, level: str) -> pd.DataFrame:
    """Return log2 of cells over those of a median control guide.

    Parameters
    ----------
    cells
        gene, guide, is_ntc; all cells of the screen.
    level
        "gene", for the mean over the guides of a gene, or "guide".

    Returns
    -------
    gene, guide ("" for level "gene"), log2_cell_count.
    """
    sizes = groups_of(cells, ["gene", "guide", "is_ntc"])[0].rename(columns={"n_cells": "n"})
    control = sizes.loc[sizes["is_ntc"], "n"].median()
    targeting = sizes[~sizes["is_ntc"]]
    if level == "gene":
        targeting = targeting.groupby("gene")["n"].mean().reset_index().assign(guide="")
    return targeting.assign(log2_cell_count=np.log2(targeting["n"] / control))[
        ["gene", "guide", "log2_cell_count"]
    ]


def add_doses(guides: pd.DataFrame, pattern: str) -> pd.DataFrame:
    """Add the column dose to a table of guides, 0 for controls; see `doses_of`."""
    doses = doses_of(guides["guide"], guides["is_ntc"].to_numpy(bool), pattern)
    table = guides.copy()
    table.insert(table.columns.get_loc("is_ntc") + 1, "dose", doses)
    return table


def hits(
    index: str,
    splits: str,
    embedding: str,
    mitotic_index: str | None,
    complexes: str,
    groups: str,
    arms: str,
    level: str,
    trained: bool,
    statistic: str,
    permutations: int,
    seed: int,
    dose_pattern: str | None,
    threads: int,
    hits: str,
    hits_text: str,
    guide_table: str,
    guide_text: str,
) -> None:
    """Write the table of hits, and that of guides.

    Parameters
    ----------
    index, splits, embedding
        Cells, their split and their embedding, row-aligned.
    mitotic_index
        Table of the mitotic index; None where the screen has none.
    complexes, groups, arms
        Annotation tables (complex, gene), (gene, group) and (gene, arm); may be empty.
    level
        As in `hit_rows`.
    trained
        Whether the embedding is that of a trained model: only cells that it never saw are used.
    statistic, permutations, seed, threads
        As in `mcvae_ops.profiles.significance.guide_significance`.
    dose_pattern
        What reads the dose of a guide (`doses_of`); None where guides are no doses.
    hits, hits_text
        Outputs: parquet, and the same as tab-separated text; sorted by q.
    guide_table, guide_text
        The same of the table of guides; control guides, which have no q, come last.
    """
    cells, vectors = read_embedded_cells(index, splits, embedding)
    cells = cells.join(read_cells(index, ["tile", "y_px", "x_px"]))
    tested = vectors.finite()
    if trained:
        tested &= is_unseen(cells["split"])
    tested = np.flatnonzero(tested)
    spaces = space_dimensions(vectors.columns)
    chosen = cells.iloc[tested].reset_index(drop=True)
    screen = Screen(chosen, vectors[tested], spaces, batch_numbers(chosen))
    tests = ActivityTest(statistic, permutations, seed, threads)
    guides = guide_rows(screen, tests)
    table, profiles = hit_rows(screen, confounders_of(cells, tested), level, tests, guides)
    annotated = (read_frame(path) for path in (complexes, groups, arms))
    table = add_annotations(table, profiles[:, spaces["combined"]], *annotated, seed)
    table = table.merge(count_changes(cells, level), on=["gene", "guide"], how="left")
    if mitotic_index:
        percent = read_frame(mitotic_index)
        percent = percent[(percent["level"] == "gene") & (percent["cells"] == "all")]
        percent = percent.set_index("name")["mitotic_index_percent"]
        table["mitotic_index_percent"] = table["gene"].map(percent)
    guides = guides.merge(count_changes(cells, "guide"), on=["gene", "guide"], how="left")
    if dose_pattern is not None:
        guides = add_doses(guides, dose_pattern)
    for rows, path, text in ((table, hits, hits_text), (guides, guide_table, guide_text)):
        rows = rows.sort_values(["q_combined", "p_combined", "gene", "guide"], ignore_index=True)
        write_parquet(rows, path)
        write_csv(rows, text, "%.4g")
