"""What hits do to cells: the classical features that they alter most, in words."""

from collections.abc import Sequence

import pandas as pd

from mcvae_ops.benchmarks.hits.hit_names import names_of
from mcvae_ops.figures.feature_words import describe

LISTED = 4  # altered features of a hit


def altered_words(features: pd.DataFrame, channels: Sequence[dict]) -> dict[str, list]:
    """Return the classical features that each hit alters most, in words, with their robust z.

    Parameters
    ----------
    features
        Table of altered features: gene, guide, rank, feature, robust_z.
    channels
        Channels of the screen.

    Returns
    -------
    Name -> [words, z, words, z, ...]; of several features with the same words only the first.
    """
    worded = {name: describe(name, channels) or name for name in features["feature"].unique()}
    features = features.assign(name=names_of(features), words=features["feature"].map(worded))
    listed = features.sort_values("rank", kind="stable").drop_duplicates(["name", "words"])
    return {
        name: [
            part
            for row in rows.head(LISTED).itertuples()
            for part in (row.words, round(row.robust_z, 1))
        ]
        for name, rows in listed.groupby("name")
    }
