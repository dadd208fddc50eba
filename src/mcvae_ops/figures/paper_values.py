"""Read the numbers of the figures of the paper, with the names of the benchmark tables."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

# The paper's values are never of the same data: even the published profiles come from another
# training and other guides, and are compared with another release of CORUM.
PAPER_LABEL = "paper (another training,\nguides, annotation)"
METHODS = {  # method in the paper -> (model, space)
    "VAE": ("vae", "combined"),
    "cVAE": ("cvae", "combined"),
    "cVAE prior-s": ("cvae_prior_s", "combined"),
    "cVAE prior-z": ("cvae_prior_z", "combined"),
    "mcVAE": ("mcvae", "combined"),
    "CellProfiler": ("cellprofiler", "combined"),
}
ONE_MODEL = {  # the same for Fig. 2B, which shows another checkpoint of mcVAE than Fig. 2A
    "mcVAE all": ("mcvae", "combined"),
    "mcVAE salient": ("mcvae", "salient"),
    "mcVAE background": ("mcvae", "background"),
}
GROUPS = {  # functional group as figures of the paper abbreviate it -> as its tables name it
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
    """Read the numbers of the paper; a table without a file has no rows.

    Parameters
    ----------
    paths
        Some of the files of `FILES`; none if the screen is not that of the paper.

    Returns
    -------
    One table per key of `FILES`. Empty tables have the same columns, so that figures draw overlays
    without checking whether there are values.
    """
    given, tables = {Path(path).name: path for path in paths}, {}
    for name, (file, columns) in FILES.items():
        tables[name] = pd.DataFrame(columns=list(columns))
        if file in given:
            read = pd.read_csv(given[file], sep="\t", usecols=list(columns))
            tables[name] = read.replace(GROUPS)
    return tables


def curves_of(curves: pd.DataFrame, methods: dict[str, tuple[str, str]]) -> pd.DataFrame:
    """Return recall and precision by model, space and level for some methods of the paper."""
    chosen = curves[curves["method"].isin(methods)]
    pairs = [methods[method] for method in chosen["method"]]
    return pd.DataFrame(
        {
            "model": [model for model, _ in pairs],
            "space": [space for _, space in pairs],
            "level": chosen["percentile"].to_numpy(float),
            "recall": chosen["recall"].to_numpy(float),
            "precision": chosen["precision"].to_numpy(float),
        }
    )


def covariates_of(covariates: pd.DataFrame, main_model: str) -> pd.DataFrame:
    """Return the scores of covariates, one row per model, space, item and metric."""
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
