"""The numbers of the paper's figures, in the terms of the benchmark tables."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

# Nothing here is of the same data: not even with the published profiles, which are of another
# training, of other guides, and are compared with another release of CORUM.
PAPER_LABEL = "paper (another training,\nguides, annotation)"
METHODS = {  # the paper's method -> (model, space)
    "VAE": ("vae", "combined"),
    "cVAE": ("cvae", "combined"),
    "cVAE prior-s": ("cvae_prior_s", "combined"),
    "cVAE prior-z": ("cvae_prior_z", "combined"),
    "mcVAE": ("mcvae", "combined"),
    "CellProfiler": ("cellprofiler", "combined"),
}
ONE_MODEL = {  # Fig. 2B draws another checkpoint of mcVAE than Fig. 2A
    "mcVAE all": ("mcvae", "combined"),
    "mcVAE salient": ("mcvae", "salient"),
    "mcVAE background": ("mcvae", "background"),
}
GROUPS = {  # functional groups that the paper's figures abbreviate -> as its tables name them
    "Actin/Adhesion": "Actin cytoskeleton & Adhesion",
    "General TF": "General transcription factors, mRNA export",
    "Translation": "Translation initiation & tRNA ligases",
    "actin_adhesion": "Actin cytoskeleton & Adhesion",
    "tubulin": "Tubulin",
}
FILES = {
    "curves": ("fig2_corum_precision_recall.tsv", ("method", "percentile", "recall", "precision")),
    "covariates": ("fig3b_technical_covariates.tsv", ("space", "covariate", "metric", "value")),
    "confusion": (
        "fig4b_confusion.tsv", ("space", "true_group", "predicted_group", "fraction"),
    ),
    "recall_difference": (
        "fig4c_recall_difference.tsv", ("group", "recall_background_minus_salient"),
    ),
    "variance": (
        "fig4d_ntc_variance_explained.tsv", ("group", "top_k", "ntc_pc1_variance_explained"),
    ),
    "points": (
        "fig5b_significant_genes.tsv",
        ("gene", "mitotic_index_percent", "relative_background_norm", "is_mitotic_factor"),
    ),
    "auroc": ("fig5c_auroc.tsv", ("score", "auroc")),
}  # fmt: skip


def read_published(paths: Sequence[str]) -> dict[str, pd.DataFrame]:
    """Read the paper's numbers; a table without a row where there is no file of them.

    Parameters
    ----------
    paths
        Some of the files of `FILES`; none where the screen is not the paper's.

    Returns
    -------
    One table per key of `FILES`. Empty tables have the same columns, so that a figure draws
    an overlay without asking whether there is one.
    """
    given, tables = {Path(path).name: path for path in paths}, {}
    for name, (file, columns) in FILES.items():
        tables[name] = pd.DataFrame(columns=list(columns))
        if file in given:
            read = pd.read_csv(given[file], sep="\t", usecols=list(columns))
            tables[name] = read.replace(GROUPS)
    return tables


def curves_of(curves: pd.DataFrame, methods: dict[str, tuple[str, str]]) -> pd.DataFrame:
    """Return recall and precision per (model, space, level) of some of the paper's methods."""
    kept = curves[curves["method"].isin(methods)]
    pairs = [methods[method] for method in kept["method"]]
    return pd.DataFrame(
        {
            "model": [model for model, _ in pairs],
            "space": [space for _, space in pairs],
            "level": kept["percentile"].to_numpy(float),
            "recall": kept["recall"].to_numpy(float),
            "precision": kept["precision"].to_numpy(float),
        }
    )


def covariates_of(covariates: pd.DataFrame, main_model: str) -> pd.DataFrame:
    """Return one row per model, space, item and metric."""
    is_baseline = covariates["space"] == "cellprofiler"
    return pd.DataFrame(
        {
            "model": is_baseline.map({True: "cellprofiler", False: main_model}),
            "space": covariates["space"].where(~is_baseline, "combined"),
            "item": covariates["covariate"],
            "metric": covariates["metric"],
            "value": covariates["value"].astype(float),
        }
    )
