"""Compare the numbers of the run with those of the paper, from the source data of figures."""

import pandas as pd

from mcvae_ops.figures import style
from mcvae_ops.figures.source_data import PAPER, RUN

QUOTED_LEVEL = 95  # the percentile that the paper quotes
# panel -> (columns that name an estimate, columns that hold its values)
COMPARED = {
    "fig2a": (["model", "space"], ["recall", "precision"]),
    "fig2b": (["model", "space"], ["recall", "precision"]),
    "fig2c": (["model", "space"], ["recall", "precision"]),
    "fig3b": (["model", "space", "item", "metric"], ["value"]),
    "fig4c": (["model", "item"], ["value"]),
    "fig5c": (["model", "item", "metric"], ["value"]),
}


def compare_with_paper(panel: str, data: pd.DataFrame) -> pd.DataFrame:
    """Return one row per number that is in both the paper and the run.

    Parameters
    ----------
    panel
        A key of `COMPARED`.
    data
        The source data of the panel.

    Returns
    -------
    what (in words), ours, theirs. No row if the figure has no values of the paper.
    """
    keys, values = COMPARED[panel]
    if "level" in data:
        data = data[data["level"].isna() | (data["level"] == QUOTED_LEVEL)]
    ours = data[data["source"] == RUN]
    if "protocol" in data:
        ours = ours[ours["protocol"] == "published"]
    theirs = data[data["source"] == PAPER]
    rows = []
    for value in values if len(theirs) else ():
        both = ours.dropna(subset=[value]).merge(theirs, on=keys, suffixes=("_ours", "_theirs"))
        for _, pair in both.iterrows():
            what = ", ".join(_word(key, pair[key]) for key in keys)
            name = "" if value == "value" else f", {value}"
            rows.append((what + name, pair[f"{value}_ours"], pair[f"{value}_theirs"]))
    return pd.DataFrame(rows, columns=["what", "ours", "theirs"])


def _word(key: str, value: str) -> str:
    return style.model_name(value) if key == "model" else str(value).replace("_", " ")
