"""Write published profiles as tables of the pipeline, for benchmarks without cells."""

import numpy as np
import pandas as pd

from mcvae_ops.errors import InputError
from mcvae_ops.files import read_frame, write_parquet
from mcvae_ops.profiles.mitotic_index import COLUMNS
from mcvae_ops.screen import CONTROL


def gene_table(embedding: pd.DataFrame, control: str, model: str, seed: int) -> pd.DataFrame:
    """Return a published gene embedding as a table of gene profiles.

    Parameters
    ----------
    embedding
        Index: gene symbol; columns "0", "1", ...: first the salient half, then the background half,
        both minus NTC.
    control
        The symbol of NTC.
    model, seed
        Model name and training seed to write into the table.

    Returns
    -------
    The columns of a table of gene profiles, with cells "all"; n_guides and n_cells are null,
    because they are not published.

    Raises
    ------
    InputError
        If the number of latent columns is not even.
    """
    dimensions = sorted((c for c in embedding.columns if c.isdigit()), key=int)
    if not dimensions or len(dimensions) % 2:
        raise InputError(
            where="archive.profiles.genes",
            found=f"{len(dimensions)} columns named by a number",
            expected="an even number of latent columns, the salient half first",
            fix="provide a table with columns 0, 1, ... and gene symbols as its index",
        )
    names = [f"{space}_{k:02d}" for space in "sz" for k in range(len(dimensions) // 2)]
    profiles = embedding[dimensions].astype(np.float64).set_axis(names, axis=1)
    is_ntc = embedding.index == control
    head = pd.DataFrame(
        {
            "model": model,
            "seed": seed,
            "cells": "all",
            "gene": np.where(is_ntc, CONTROL, embedding.index),
            "is_ntc": is_ntc,
            "n_guides": _unpublished(len(embedding)),
            "n_cells": _unpublished(len(embedding)),
        }
    )
    return head.join(profiles.reset_index(drop=True))


def mitotic_table(embedding: pd.DataFrame, control: str) -> pd.DataFrame:
    """Return the published mitotic index of each gene, an absolute change in percent.

    Numbers of cells, fractions and NTC guides are not published: they are null, NaN and missing.
    """
    genes = embedding[embedding.index != control]
    return pd.DataFrame(
        {
            "cells": "all",
            "level": "gene",
            "name": genes.index,
            "n_cells": _unpublished(len(genes)),
            "mitotic_fraction": np.nan,
            "mitotic_index_percent": genes["mitotic_index"].to_numpy(np.float64),
        },
        columns=COLUMNS,
    )


def significance_table(
    significance: pd.DataFrame, control: str, columns: dict[str, str]
) -> pd.DataFrame:
    """Return the published significance of each guide in the pipeline's columns.

    Parameters
    ----------
    significance
        Columns for guide and gene, stat and pvalue.
    control
        The symbol of NTC.
    columns
        Name in the pipeline (guide, gene) -> name in the published table.
    """
    gene = significance[columns["gene"]]
    return pd.DataFrame(
        {
            "guide": significance[columns["guide"]],
            "gene": gene.where(gene != control, CONTROL),
            "n_cells": _unpublished(len(gene)),
            "statistic": significance["stat"],
            "p_value": significance["pvalue"],
        }
    )


def published_profiles(
    embedding: str,
    significance: str,
    control: str,
    columns: dict[str, str],
    model: str,
    seed: int,
    genes: list[str],
    mitotic_index: str,
    guide_significance: str,
) -> None:
    """Write gene profiles, mitotic index and guide significance from published tables.

    Parameters
    ----------
    embedding, significance
        Parquet tables as published.
    control, columns
        As in `significance_table`.
    model, seed
        The only model and training seed of the configuration.
    genes, mitotic_index, guide_significance
        Outputs.

    Raises
    ------
    InputError
        If the configuration names more than one model or seed.
    """
    if len(genes) != 1:
        raise InputError(
            where="configuration keys models and training.seeds",
            found=f"{len(genes)} models x seeds",
            expected="one, because the published profiles are of one trained model",
            fix="keep one model and one seed",
        )
    published = read_frame(embedding)
    guides = read_frame(significance)
    write_parquet(gene_table(published, control, model, seed), genes[0])
    write_parquet(mitotic_table(published, control), mitotic_index)
    write_parquet(significance_table(guides, control, columns), guide_significance)


def _unpublished(n: int) -> pd.api.extensions.ExtensionArray:
    return pd.array([None] * n, dtype="Int64")
