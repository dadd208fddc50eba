"""Fig. S4: do replicates agree, and does a profile find its gene in another batch?

Strict protocol only: replicate correlation and percent replicating of guides and of genes, and
retrieval across batches and across plates, in every space; 95 % intervals are over genes.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np
import pandas as pd

from mcvae_ops.benchmarks.estimates import table
from mcvae_ops.benchmarks.estimates.intervals import stratified_interval
from mcvae_ops.benchmarks.replicates.replicate_correlation import replicate_correlations
from mcvae_ops.benchmarks.replicates.replicate_profiles import Replicates, replicate_profiles
from mcvae_ops.benchmarks.replicates.replicate_retrieval import (
    Retrieval,
    gene_queries,
    guide_queries,
)
from mcvae_ops.embeddings.embedded_cells import batch_numbers
from mcvae_ops.embeddings.spaces import space_dimensions
from mcvae_ops.profiles.aggregate import cell_set, read_embedded_cells
from mcvae_ops.profiles.significance import q_values
from mcvae_ops.progress import Progress

logger = logging.getLogger(__name__)

BENCHMARK = "replicates"
CELLS = ("all", "test")
REPLICATING = 0.05  # p value up to which a perturbation counts as replicating


def correlation_rows(replicates: Replicates, rounds: int, seed: int, row: Callable) -> list[dict]:
    """Return the rows on the correlation of replicates; none without two replicates.

    The correlation itself has no interval: it holds noise that all perturbations of a batch share.
    Its excess over non-replicates does not.

    Parameters
    ----------
    replicates
        Of guides, or of genes.
    rounds, seed
        As in `replicate_correlations`.
    row
        `table.row` with the columns that name the profiles filled in.
    """
    found = replicate_correlations(replicates, rounds, seed)
    if len(found.at) == 0:
        return []
    genes = replicates.names["gene"].to_numpy(str)[found.at]
    n_genes = len(np.unique(genes))
    make_row = partial(row, n=len(found.at), units=f"{n_genes} genes")
    replicating = found.p_value <= REPLICATING
    is_discovery = q_values(found.p_value, np.ones(len(genes), bool)) < REPLICATING
    rows = [
        make_row(metric="replicate_correlation", value=found.score.mean()),
        make_row(metric="replicate_correlation_null", value=found.to_others.mean()),
        make_row(metric="replicating_fraction_fdr", value=is_discovery.mean()),
    ]
    for metric, value, terms, is_share in (
        ("replicate_correlation_excess", found.excess, found.excess_terms, False),
        ("replicating_fraction", replicating.mean(), _terms(replicating), True),
    ):
        of_genes = pd.Series(terms).groupby(genes).sum().to_numpy()
        ends = stratified_interval(value, of_genes, is_share=is_share)
        rows.append(make_row(metric=metric, value=value, low=ends[0], high=ends[1]))
    return rows


def retrieval_rows(retrieval: Retrieval, row: Callable) -> list[dict]:
    """Return reciprocal rank and recall, mean over genes, and what chance reaches.

    Parameters
    ----------
    retrieval
        As `gene_queries` returns.
    row
        As for `correlation_rows`.
    """
    rows = []
    for (metric, level), estimate in retrieval.summary().items():
        make_row = partial(row, level=level, n=len(retrieval.rank), units=f"{estimate.n} genes")
        low, high = stratified_interval(estimate.value, estimate.terms, is_share=True)
        rows.append(make_row(metric=metric, value=estimate.value, low=low, high=high))
        rows.append(make_row(metric=f"{metric}_null", value=estimate.chance))
    return rows


def replicate_rows(
    replicates: dict[str, Replicates],
    spaces: dict[str, list[int]],
    rounds: int,
    seed: int,
    row: Callable,
) -> Iterator[dict]:
    """Yield all rows of one set of cells.

    Parameters
    ----------
    replicates
        What counts as one replicate ("batch", "plate") -> guides in each of them.
    spaces
        Space -> its dimensions.
    rounds, seed, row
        As for `correlation_rows`.
    """
    for against, every in replicates.items():
        for space, dimensions in spaces.items():
            guides = every.in_space(dimensions)
            genes = guides.of_genes()
            of_guides = partial(row, space=space, item="guide", against=against)
            of_genes = partial(row, space=space, item="gene", against=against)
            yield from correlation_rows(guides, rounds, seed, of_guides)
            yield from correlation_rows(genes, rounds, seed, of_genes)
            yield from retrieval_rows(guide_queries(guides), of_guides)
            yield from retrieval_rows(gene_queries(genes), of_genes)


def replicate_agreement(
    index: str, splits: str, embeddings: Sequence[str], permutations: int, seed: int, benchmark: str
) -> None:
    """Write how well replicates agree, for every model and space.

    Parameters
    ----------
    index, splits
        Tables of cells, row-aligned.
    embeddings
        Embeddings of these cells, one per model and training seed.
    permutations, seed
        Number of groups of non-replicates, and their seed.
    benchmark
        Output: the benchmark table.
    """
    rows, progress = [], Progress(len(embeddings), "embeddings", "replicates")
    for path in embeddings:
        cells, latent = read_embedded_cells(index, splits, path)
        finite, batch_of = latent.finite(), batch_numbers(cells)
        plate_of = cells["plate"].astype(object).groupby(batch_of).first().to_numpy(str)
        spaces = space_dimensions(latent.columns)
        for name in CELLS:
            chosen = finite & cell_set(cells, cells["split"], name)
            guides, batches = replicate_profiles(cells, latent, batch_of, chosen)
            plates, plate = np.unique(plate_of[batches], return_inverse=True)
            replicates = {"batch": guides}
            if 1 < len(plates) < len(batches):
                replicates["plate"] = guides.joined(plate)
            if len(batches) < 2:
                logger.warning("%s cells lie in %d batch: no replicates", name, len(batches))
                continue
            row = partial(
                table.row,
                benchmark=BENCHMARK,
                protocol="strict",
                cells=name,
                model=latent.model,
                seed=latent.seed,
            )
            rows += replicate_rows(replicates, spaces, permutations, seed, row)
        progress.step()
    table.write(rows, benchmark)


def _terms(values: np.ndarray) -> np.ndarray:
    return (values - values.mean()) / len(values)
