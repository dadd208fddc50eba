"""Write published profiles as tables of the pipeline, for benchmarks without cells."""

import logging
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from mcvae_ops.archive.annotations.library_match import guessed_reason
from mcvae_ops.archive.transfer import opened
from mcvae_ops.embeddings.baselines import latent_names
from mcvae_ops.embeddings.spaces import LETTERS, latent_columns
from mcvae_ops.errors import InputError
from mcvae_ops.files import read_frame, write_parquet
from mcvae_ops.profiles.mitotic_index import COLUMNS
from mcvae_ops.profiles.profile_tables import (
    gene_column,
    named_column,
    numbers_in,
    read_profiles,
    space_columns,
)
from mcvae_ops.screen import CONTROL, control_values, is_like

Control = str | Sequence[str] | dict | None
"""As ``screen.control``; None marks nothing."""

logger = logging.getLogger(__name__)
_SHOWN = 10
GENES, SIGNIFICANCE = "archive.profiles.genes", "archive.profiles.guide_significance"


def gene_table(
    table: pd.DataFrame, genes: pd.Series, spaces: Mapping[str, list[str]], model: str, seed: int
) -> pd.DataFrame:
    """Return published gene profiles as a table of gene profiles.

    Parameters
    ----------
    table
        One row per profile, relative to the controls.
    genes
        Gene of each row; controls are called `CONTROL`.
    spaces
        Columns of the salient and the background space, or of the only one (combined).
    model, seed
        Model name and training seed to write into the table.

    Returns
    -------
    The columns of a table of gene profiles, with cells "all"; n_guides and n_cells are null,
    because they are not published.
    """
    names = {
        column: f"{LETTERS[space]}_{k:02d}"
        for space, columns in spaces.items()
        for k, column in enumerate(columns)
    }
    profiles = table[list(names)].astype(np.float64).rename(columns=names)
    head = pd.DataFrame(
        {
            "model": model,
            "seed": seed,
            "cells": "all",
            "gene": genes,
            "is_ntc": genes == CONTROL,
            "n_guides": _unpublished(len(table)),
            "n_cells": _unpublished(len(table)),
        }
    )
    return head.join(profiles)


def mitotic_table(genes: pd.Series, percent: pd.Series | None) -> pd.DataFrame:
    """Return the published mitotic index of each gene, in percent; no rows if there is none.

    Numbers of cells, fractions and NTC guides are not published: they are null, NaN and missing.
    """
    if percent is None:
        return pd.DataFrame(columns=COLUMNS)
    targeting = genes != CONTROL
    return pd.DataFrame(
        {
            "cells": "all",
            "level": "gene",
            "name": genes[targeting],
            "n_cells": _unpublished(targeting.sum()),
            "mitotic_fraction": np.nan,
            "mitotic_index_percent": percent[targeting],
        },
        columns=COLUMNS,
    )


def significance_table(
    table: pd.DataFrame, columns: Mapping[str, str], control: Control, where: str
) -> pd.DataFrame:
    """Return the published significance of each guide in the pipeline's columns.

    Parameters
    ----------
    table
        Columns for guide, gene, statistic and p value.
    columns
        Name in the pipeline (guide, gene, statistic, p_value) -> name in the published table.
    control
        What marks NTC.
    where
        The table, for errors.

    Raises
    ------
    InputError
        If a column is missing, a guide stands twice, a p value lies outside 0 to 1 or is no number,
        or the control is no label of genes.
    """
    roles = ("guide", "gene", "statistic", "p_value")
    named = {role: named_column(table, role, columns, where, SIGNIFICANCE) for role in roles}
    p_values = numbers_in(named["p_value"], where)
    if (p_values < 0).any() or (p_values > 1).any():
        wrong = p_values[(p_values < 0) | (p_values > 1)].iloc[0]
        raise InputError(
            where=where, found=f"a p value {wrong}", expected="0 to 1", fix="correct the table"
        )
    named |= {role: named[role].astype("string").str.strip() for role in ("guide", "gene")}
    pairs = pd.DataFrame({"guide": named["guide"], "gene": named["gene"]})
    if (is_nameless := pairs.isna() | (pairs == "")).any(axis=None):
        raise InputError(
            where=where,
            found=f"{is_nameless.any(axis=1).sum()} rows without a guide or gene",
            expected="both in every row",
            fix="complete the rows, or delete them",
        )
    if pairs.duplicated().any():
        guide = pairs["guide"][pairs.duplicated()].iloc[0]
        raise InputError.twice(where=where, what=f"the guide {guide}", fix="keep one row of it")
    return pd.DataFrame(
        {
            "guide": named["guide"],
            "gene": named["gene"].mask(controls_among(named["gene"], control, where), CONTROL),
            "n_cells": _unpublished(len(table)),
            "statistic": numbers_in(named["statistic"], where),
            "p_value": p_values,
        }
    )


def published_profiles(
    profiles: dict,
    control: Control,
    archive: dict,
    model: str,
    seed: int,
    genes: str,
    mitotic_index: str,
    guide_significance: str,
) -> None:
    """Write gene profiles, mitotic index and guide significance from published tables.

    Parameters
    ----------
    profiles
        Section ``archive.profiles`` of the configuration.
    control
        ``screen.control``, unless the section names the control of gene profiles.
    archive
        Section of the configuration.
    model, seed
        Name of the profiles, and its seed.
    genes, mitotic_index, guide_significance
        Outputs. What is not published has no row.

    Raises
    ------
    InputError
        If a table is not as the configuration says.
    """
    entry = profiles["genes"]
    place, columns = entry["table"], entry.get("columns", {})
    of_genes = entry.get("control", control)
    control = control if of_genes is None else of_genes
    with opened(place, archive, entry.get("sha256")) as path:
        table = read_profiles(path, place)
    names = called_genes(gene_column(table, columns, place, GENES), of_genes, place)
    features = table.drop(columns={*columns.values(), names.name} & {*table.columns})
    spaces = space_columns(features, entry.get("spaces", {}), place, GENES)
    percent = None
    if "mitotic_index" in columns:
        percent = named_column(table, "mitotic_index", columns, place, GENES)
        percent = numbers_in(percent, place, unit="%")
    significance = pd.DataFrame(columns=["guide", "gene", "n_cells", "statistic", "p_value"])
    if (entry := profiles["guide_significance"]) is not None:
        with opened(entry["table"], archive, entry.get("sha256")) as path:
            guides = read_profiles(path, entry["table"])
        significance = significance_table(guides, entry.get("columns", {}), control, entry["table"])
        check_genes(significance["gene"], names, entry["table"])
    write_parquet(gene_table(table, names, spaces, model, seed), genes)
    write_parquet(mitotic_table(names, percent), mitotic_index)
    write_parquet(significance, guide_significance)


def random_profiles(genes: str, seed: int, profiles: str) -> None:
    """Rule random_profiles: write a standard normal vector for every gene, as a lower bound.

    Parameters
    ----------
    genes
        The published profiles; the random ones have as many dimensions.
    seed
        Of the draws.
    profiles
        Output.
    """
    table = read_frame(genes)
    latent = latent_columns(table.columns)
    draws = np.random.default_rng(seed).standard_normal((len(table), len(latent)))
    head = table.drop(columns=latent).assign(model="random", seed=0)
    write_parquet(head.join(pd.DataFrame(draws, columns=latent_names(len(latent)))), profiles)


def called_genes(genes: pd.Series, control: Control, where: str) -> pd.Series:
    """Return the gene of each profile, with the pipeline's name of the control.

    Raises
    ------
    InputError
        If a gene stands twice, or the control labels no profile; see `controls_among`.
    """
    is_control = controls_among(genes, control, where)
    targeting = genes[~is_control]
    if targeting.duplicated().any():
        twice = targeting[targeting.duplicated()].unique()
        raise InputError(
            where=where,
            found=f"{len(twice)} genes with several profiles ({', '.join(twice[:5])})",
            expected="one profile of each gene",
            fix="average them, or keep one",
        )
    if control is not None and not is_control.any():
        raise InputError(
            where=where,
            found=f"no profile labelled {control!r} among {len(genes)} "
            f"({', '.join(genes.iloc[:5])} ...) in {genes.name}",
            expected="the control (screen.control)",
            fix=f"correct screen.control or {GENES}.columns.gene, or set {GENES}.control to null "
            "if no row is a control",
        )
    return genes.mask(is_control, CONTROL)


def controls_among(genes: pd.Series, control: Control, where: str) -> pd.Series:
    """Return whether each row is a control, by its gene.

    Raises
    ------
    InputError
        If the control is a role, or a gene is the pipeline's own word for controls.
    """
    name, patterns = control_values([] if control is None else control)
    if name == "role":
        raise InputError(
            where="configuration key screen.control",
            found=f"{control}, but published profiles have no roles",
            expected="a value of the gene, a pattern, or a list of these",
            fix=f"name it, or {GENES}.control",
        )
    is_control = genes.map(lambda gene: isinstance(gene, str) and is_like(gene, patterns))
    if (genes[~is_control] == CONTROL).any():
        raise InputError(
            where=where,
            found=f"a gene {CONTROL}, which screen.control ({control!r}) does not name",
            expected=f"another name: {CONTROL} is the pipeline's own word for controls",
            fix="add it to screen.control if it marks controls, or rename it",
        )
    return is_control.astype(bool)


def check_genes(of_guides: pd.Series, of_profiles: pd.Series, where: str) -> None:
    """Warn of genes of guides that have no profile: their names must be the same in both tables.

    Raises
    ------
    InputError
        If none of them has one.
    """
    profiles = set(of_profiles) - {CONTROL}
    genes = set(of_guides) - {CONTROL}
    unknown = sorted(genes - profiles)
    if not unknown:
        return
    n_known, reason = len(genes) - len(unknown), guessed_reason(unknown, profiles)
    shown = ", ".join(unknown[:_SHOWN]) + " ..." * (len(unknown) > _SHOWN)
    if n_known:
        logger.warning("%s: %d of its %d genes have a profile; not %s (%s)", where, n_known,
                       len(genes), shown, reason)  # fmt: skip
        return
    raise InputError(
        where=where,
        found=f"none of its {len(genes)} genes ({shown}) among those of the profiles; {reason}",
        expected=f"names of the {len(profiles)} genes ({', '.join(sorted(profiles)[:3])} ...)",
        fix=f"correct {SIGNIFICANCE}.columns.gene or the table, or set {SIGNIFICANCE} to null",
    )


def _unpublished(n: int) -> pd.api.extensions.ExtensionArray:
    return pd.array([None] * n, dtype="Int64")
