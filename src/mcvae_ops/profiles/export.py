"""Profiles as .h5ad, the format of single-cell tools."""

import anndata
import numpy as np
import pandas as pd

from mcvae_ops.files import whole_file
from mcvae_ops.profiles.spaces import latent_columns

SPACE = {"s": "salient", "z": "background", "t": "technical"}


def to_anndata(profiles: pd.DataFrame, name: str) -> anndata.AnnData:
    """Return profiles as AnnData: X latent dimensions, obs all else, var the space.

    Parameters
    ----------
    profiles
        Columns model, seed, cells, `name` and latent columns.
    name
        The column that, with `cells`, names a profile: guide or gene.
    """
    columns = latent_columns(profiles.columns)
    observations = profiles.drop(columns=columns)
    observations.index = observations[name] + "/" + observations["cells"]
    variables = pd.DataFrame({"space": [SPACE[column[0]] for column in columns]}, index=columns)
    return anndata.AnnData(profiles[columns].to_numpy(np.float32), observations, variables)


def export_anndata(guides: str, genes: str, guides_h5ad: str, genes_h5ad: str) -> None:
    """Write the guide and gene profiles of one embedding as .h5ad.

    Parameters
    ----------
    guides, genes
        Tables of profiles.
    guides_h5ad, genes_h5ad
        Outputs; X is (profile, latent dimension) float32, obs names are ``name/cells``.
    """
    for source, target, name in ((guides, guides_h5ad, "guide"), (genes, genes_h5ad, "gene")):
        with whole_file(target) as partial:
            to_anndata(pd.read_parquet(source), name).write_h5ad(partial)
