"""Fig. S7: dose response of every compound, and retrieval of mechanisms across doses.

Strict protocol only, in standard deviations of controls within batches. Trends and responses are
those of all cells: training knows the compound of a cell but not its dose, so that doses can be
compared among the cells that it saw, and among the others; how far these lie from controls is told
by cells that no model was trained on (see `mcvae_ops.benchmarks.doses.response`). Mechanisms come
from such cells alone. In the words of this package a compound is a gene and a dose a guide.
"""

import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.covariance import ledoit_wolf

from mcvae_ops.benchmarks.doses.dose_trend import trend_test
from mcvae_ops.benchmarks.doses.half_effect import half_effect, responses_of
from mcvae_ops.benchmarks.doses.mechanism_retrieval import (
    mechanism_precision,
    permuted_precision,
    profile_precision,
    rank_profiles,
)
from mcvae_ops.benchmarks.doses.response import discriminants, dose_means, responses
from mcvae_ops.benchmarks.estimates import table
from mcvae_ops.benchmarks.estimates.functional_groups import group_of_genes
from mcvae_ops.benchmarks.estimates.intervals import stratified_interval
from mcvae_ops.benchmarks.estimates.mean_average_precision import p_value_of
from mcvae_ops.embeddings.embedded_cells import (
    Latent,
    batch_numbers,
    groups_of,
    is_unseen,
    some_cells,
)
from mcvae_ops.embeddings.spaces import spaces_of
from mcvae_ops.errors import InputError
from mcvae_ops.files import read_frame
from mcvae_ops.profiles.aggregate import GUIDE_KEYS, read_embedded_cells, sums_of_groups
from mcvae_ops.profiles.centred import CentredCells
from mcvae_ops.profiles.significance import exchanged_units, q_values
from mcvae_ops.progress import Progress

BENCHMARK = "doses"
TREND_Q = 0.05  # an ED50 is looked for below this false discovery rate of a trend


class Standardised(CentredCells):
    """Cells minus the mean of the controls of their batch, in deviations of controls."""

    def __init__(
        self, latent: np.ndarray | Latent, batch_of: np.ndarray, is_control: np.ndarray
    ) -> None:
        super().__init__(latent, batch_of, is_control)
        controls = np.concatenate(list(self.controls.values()))
        self._scale = np.sqrt((controls**2).mean(axis=0))

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        centred = super().__getitem__(rows)
        return np.divide(centred, self._scale, out=np.zeros_like(centred), where=self._scale > 0)


class Treated(NamedTuple):
    """Cells of compounds and controls; or means of wells, where a batch holds several wells.

    Attributes
    ----------
    values
        (unit, dimension), standardised.
    gene_of
        Compound, (unit,).
    dose
        0 for controls, (unit,).
    batch_of
        (unit,), numbered from 0 on.
    was_seen
        Whether training saw the unit, or a part of its cells, (unit,).
    """

    values: np.ndarray | Standardised
    gene_of: np.ndarray
    dose: np.ndarray
    batch_of: np.ndarray
    was_seen: np.ndarray

    @property
    def stratum_of(self) -> np.ndarray:
        """Within which doses are compared, (unit,): batch, and whether training saw the unit."""
        return 2 * self.batch_of + self.was_seen

    def part(self, units: np.ndarray) -> "Treated":
        """Return some units: a mask, (unit,)."""
        return Treated(*(values[units] for values in self))


def doses_of(guides: pd.Series, is_ntc: np.ndarray, pattern: str) -> np.ndarray:
    """Return the dose of each cell, read from the name of its guide; that of controls is 0.

    Raises
    ------
    InputError
        If a name does not hold a number where the pattern says.
    """
    names = guides[~is_ntc].unique()
    doses = {}
    for name in names:
        found = re.search(pattern, name)
        try:
            doses[name] = float(found[1])
        except (TypeError, IndexError, ValueError):
            raise InputError(
                where="configuration key benchmarks.doses.pattern",
                found=f"no dose in {name!r}",
                expected=f"a number in the first bracket of {pattern!r}",
                fix="correct the pattern, or set it to null",
            ) from None
    return np.where(is_ntc, 0.0, guides.map(doses).fillna(0.0).to_numpy(float))


def treated(
    cells: pd.DataFrame, latent: np.ndarray | Latent, pattern: str, *, apart: bool = False
) -> tuple[Treated, np.ndarray]:
    """Return the units whose doses are compared, and the control cells, (cell, dimension).

    Parameters
    ----------
    cells
        plate, well, batch, gene, guide, is_ntc, split. Batches without a control are left out.
    latent
        (cell, dimension), finite.
    pattern
        As for `doses_of`.
    apart
        Whether a well is two units: its cells that training saw, and the others.
    """
    is_ntc, batch_of = cells["is_ntc"].to_numpy(), batch_numbers(cells)
    compared = np.isin(batch_of, batch_of[is_ntc])
    cells, is_ntc = cells[compared], is_ntc[compared]
    values = Standardised(some_cells(latent, compared), batch_of[compared], is_ntc)
    named, guide_of = groups_of(cells, GUIDE_KEYS)
    dose_of = doses_of(named["guide"], named["is_ntc"].to_numpy(), pattern)
    unseen = is_unseen(cells["split"])
    part_of = 2 * guide_of + unseen if apart else guide_of
    units = exchanged_units(cells, values, part_of)
    if units.latent is values:
        values.hold()  # cells, of which every compound asks for its own
    share_unseen = exchanged_units(cells, unseen[:, None].astype(float), part_of).latent
    guide = units.group_of // 2 if apart else units.group_of
    of_units = Treated(
        units.latent,
        named["gene"].to_numpy(str)[guide],
        dose_of[guide],
        units.batch_of,
        share_unseen[:, 0] < 1,
    )
    return of_units, values[is_ntc]


def dose_profiles(unseen: Treated) -> tuple[pd.DataFrame, np.ndarray]:
    """Return gene and dose of every treatment, sorted, and its mean, (treatment, dimension)."""
    is_own = unseen.dose > 0
    keys = pd.DataFrame({"gene": unseen.gene_of[is_own], "dose": unseen.dose[is_own]})
    treatments, treatment_of = groups_of(keys, ["gene", "dose"])
    sums = sums_of_groups(unseen.values, np.flatnonzero(is_own), treatment_of, len(treatments))
    return treatments, sums / treatments["n_cells"].to_numpy()[:, None]


def precision_of(controls: np.ndarray) -> np.ndarray:
    """Return the inverse covariance of control cells, (dimension, dimension).

    The covariance is shrunk, so that few controls give one as well (Ledoit & Wolf 2004,
    doi:10.1016/S0047-259X(03)00096-4).
    """
    return np.linalg.pinv(ledoit_wolf(controls, assume_centered=True)[0])


def trends_of(tested: Treated, precision: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return compounds, the share of pairs of cells in the order of their doses, and p.

    Parameters are those of `compound_rows`; the results are those of `trend_test`, (compound,).
    """
    genes, trends = np.unique(tested.gene_of[tested.dose > 0]), []
    for gene in genes:
        own = tested.part(tested.gene_of == gene)
        score = own.values @ (precision @ own.values.mean(axis=0))
        trends.append(trend_test(score, own.dose, own.stratum_of))
    return genes, *np.array(trends).reshape(-1, 2).T


def compound_rows(
    tested: Treated, halves: Treated, precision: np.ndarray, row: Callable
) -> list[dict]:
    """Return trend, response at each dose, and ED50 of every compound.

    Parameters
    ----------
    tested
        All units, of which the trends are.
    halves
        The same with wells in halves (`treated`), of which the responses are.
    precision
        Of control cells, as `precision_of` returns. The trend of a compound is along its
        discriminant (Fisher's): the precision times the mean of its cells, doses together.
    row
        `table.row` with the columns that name the space filled in.
    """
    genes, share, p = trends_of(tested, precision)
    q, rows = q_values(p, np.ones(len(genes), bool)), []
    for k, gene in enumerate(genes):
        found = {"trend": share[k], "trend_p_value": p[k], "trend_q_value": q[k]}
        n = (tested.gene_of == gene).sum()
        rows += [row(item=gene, n=n, metric=m, value=v) for m, v in found.items()]
        rows += response_rows(halves, gene, q[k] < TREND_Q, precision, partial(row, item=gene, n=n))
    return rows


def response_rows(
    units: Treated, gene: str, has_trend: bool, precision: np.ndarray, row: Callable
) -> list[dict]:
    """Return the response of a compound at each dose and, if it has a trend, its ED50."""
    own = units.gene_of == gene
    compared = units.part(own | (units.dose == 0) & ~units.was_seen)
    if not len(compared.dose) or compared.dose.min() > 0:
        return []
    strata = compared.stratum_of
    means = dose_means(compared.values, compared.dose, strata, compared.batch_of)
    values, terms = responses(means, precision)
    rows, batches = [], f"{terms.shape[0]} batches"
    for level, value, of_batches in zip(np.unique(compared.dose)[1:], values, terms.T, strict=True):
        low, high = stratified_interval(value, of_batches)
        rows.append(
            row(metric="response", level=level, value=value, low=low, high=high, units=batches)
        )
    direction = discriminants(means, precision)[np.searchsorted(np.unique(strata), strata)]
    known = (direction != 0).any(axis=1)
    score = (compared.values * direction).sum(axis=1)
    found = responses_of(score[known], compared.dose[known], strata[known])
    if has_trend and found is not None:
        value, low, high = half_effect(found)
        ends = {"low": low, "high": high, "units": f"cells of {batches}"}
        rows.append(row(metric="ed50", value=value, **ends))
    return rows


def mechanism_rows(
    profiles: np.ndarray,
    genes: np.ndarray,
    dose: np.ndarray,
    group_of: dict[str, str],
    permutations: int,
    seed: int,
    row: Callable,
) -> list[dict]:
    """Return the average precision of each mechanism, of all, and of all at each dose.

    Parameters
    ----------
    profiles
        (profile, feature), one per compound and dose.
    genes, dose
        Of each profile, (profile,).
    group_of
        Mechanism of each compound; "" is none.
    permutations, seed
        Of mechanisms over compounds.
    row
        As for `compound_rows`.
    """
    names, compound_of = np.unique(genes, return_inverse=True)
    named = np.array([group_of[name] for name in names])
    mechanisms = np.array(sorted(set(named) - {""}))
    mechanism_of = np.where(named == "", -1, np.searchsorted(mechanisms, named))
    ranked = rank_profiles(profiles, compound_of)
    precision = profile_precision(ranked, mechanism_of)
    of_mechanism = mechanism_precision(precision, compound_of, mechanism_of)
    known = np.flatnonzero(np.isfinite(of_mechanism))
    if len(known) < 2:
        return []
    null = permuted_precision(ranked, mechanism_of, permutations, seed)
    p = np.array([p_value_of(of_mechanism[k], null[:, k]) for k in known])
    q, size = q_values(p, np.ones(len(p), bool)), np.bincount(mechanism_of[mechanism_of >= 0])
    rows, metric = [], "mechanism_precision"
    for k, p_value, q_value in zip(known, p, q, strict=True):
        of_one = partial(row, item=mechanisms[k], n=size[k])
        rows += [
            of_one(metric=metric, value=of_mechanism[k]),
            of_one(metric=f"{metric}_null", value=null[:, k].mean()),
            of_one(metric=f"{metric}_p_value", value=p_value),
            of_one(metric=f"{metric}_q_value", value=q_value),
        ]
    # No interval over so few mechanisms covers as often as it says (tests/calibration/RESULTS.md).
    n = int(size[known].sum())
    for level in (np.nan, *np.unique(dose)):
        counted = np.where(np.isnan(level) | (dose == level), precision, np.nan)
        value = np.nanmean(mechanism_precision(counted, compound_of, mechanism_of))
        rows.append(row(metric=metric, level=level, value=value, n=n))
    means = null[:, known].mean(axis=1)
    rows.append(row(metric=f"{metric}_null", value=means.mean(), n=n))
    p_all = p_value_of(of_mechanism[known].mean(), means)
    rows.append(row(metric=f"{metric}_p_value", value=p_all, n=n))
    return rows


def dose_response(
    index: str,
    splits: str,
    embeddings: Sequence[str],
    groups: str,
    pattern: str,
    permutations: int,
    seed: int,
    benchmark: str,
) -> None:
    """Write dose responses and the retrieval of mechanisms.

    Parameters
    ----------
    index, splits
        Tables of cells, row-aligned.
    embeddings
        Embeddings of these cells, one per model and training seed.
    groups
        Mechanisms: functional groups (gene, group); may be empty.
    pattern
        Regular expression that finds the dose in the name of a guide, in its first bracket.
    permutations, seed
        As in `mechanism_rows`.
    benchmark
        Output: the benchmark table.
    """
    annotated, rows = read_frame(groups), []
    progress = Progress(len(embeddings), "embeddings", "doses")
    for path in embeddings:
        cells, vectors = read_embedded_cells(index, splits, path)
        finite = np.flatnonzero(vectors.finite())
        cells = cells.iloc[finite]
        new = is_unseen(cells["split"])
        for space, columns in spaces_of(vectors.columns).items():
            latent = vectors.part(finite, columns)
            tested, controls = treated(cells, latent, pattern)
            halves, _ = treated(cells, latent, pattern, apart=True)
            unseen, _ = treated(cells[new], some_cells(latent, new), pattern)
            profiles, means = dose_profiles(unseen)
            genes, doses = profiles["gene"].to_numpy(), profiles["dose"].to_numpy()
            group_of = group_of_genes(list(np.unique(genes)), annotated, split_merged=True)
            row = partial(
                table.row, benchmark=BENCHMARK, protocol="strict", space=space,
                model=vectors.model, seed=vectors.seed,
            )  # fmt: skip
            rows += compound_rows(tested, halves, precision_of(controls), partial(row, cells="all"))
            rows += mechanism_rows(
                means, genes, doses, group_of, permutations, seed,
                partial(row, cells="unseen"),
            )  # fmt: skip
        progress.step()
    table.write(rows, benchmark)
