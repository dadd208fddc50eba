"""The claims of the paper in a biologist's words, each with its parts."""

import pandas as pd

VERDICTS = {
    "holds": "yes",
    "does not hold": "no",
    "undecided": "open",
    "not tested": "open",
    "better": "yes",
    "about": "yes",
    "worse": "no",
}  # verdict -> CSS class
CLAIMS = {
    "C1": "Contrast with control cells helps to find protein complexes, priors for each gene help "
    "further, and the result is as good as CellProfiler's.",
    "C1a": "Contrast with control cells helps.",
    "C1b": "Priors for each gene help further.",
    "C1c": "The result is as good as CellProfiler's.",
    "C2": "Both spaces together find complexes better than either of them alone.",
    "C2a": "Both spaces together are better than the salient space.",
    "C2b": "Both spaces together are better than the background.",
    "C3": "Each of the two priors helps, and both together help most.",
    "C3a": "The prior of the salient space helps.",
    "C3b": "Both priors are better than that of the salient space.",
    "C3c": "The prior of the background helps.",
    "C3d": "Both priors are better than that of the background.",
    "C4": "The salient space knows least of batch and place; the background and CellProfiler know "
    "the place of a cell.",
    "C4a": "The salient space knows least of the batch.",
    "C4b": "The salient space knows least of the place in the field of view.",
    "C4c": "The salient space knows least of the place in the well.",
    "C4d": "The background knows the place in the field of view.",
    "C4e": "The background knows the place in the well.",
    "C4f": "CellProfiler knows the place in the field of view.",
    "C4g": "CellProfiler knows the place in the well.",
    "C5": "Genes that shift what NTC cells do anyway are recognised in the background, genes with "
    "a novel phenotype in the salient space.",
    "C5a": "Genes that shift what NTC cells do anyway are recognised better in the background.",
    "C5b": "Genes with a novel phenotype are recognised better in the salient space.",
    "C6": "Genes that shift what NTC cells do anyway alter the features in which NTC cells differ.",
    "C7": "The share of the background in a gene's effect tells mitotic factors better than the "
    "mitotic index.",
    "C8": "The salient space of the compared model retrieves complexes of unseen cells and guides "
    "better than the main model does.",
    "C9": "The salient space of the compared model retrieves complexes of unseen cells and guides "
    "better than CellProfiler does.",
}


def claims_in_words(tested: pd.DataFrame) -> list[dict]:
    """Return the columns of each claim, its words and its parts (with the same keys).

    A part without words, of the compared models, is said as the table says it.

    Parameters
    ----------
    tested
        ``claims.tsv``; missing numbers are NaN, missing text is empty.
    """
    rows = tested.assign(
        words=tested["claim"].map(CLAIMS).fillna(tested["statement"]),
        of=tested["claim"].str.extract(r"(\D\d+)", expand=False),
    ).to_dict("records")
    return [
        row | {"parts": [part for part in rows if part["of"] == row["claim"] and part is not row]}
        for row in rows
        if row["claim"] == row["of"]
    ]
