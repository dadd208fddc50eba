"""Which columns of an embedding or profile table form which latent space."""

import logging
import re
from collections.abc import Iterable

import numpy as np
import pandas as pd

from mcvae_ops.errors import InputError

logger = logging.getLogger(__name__)

UNTRAINED = ("cellprofiler", "random")  # embeddings that no training seed changes
LATENT = re.compile(r"^[szt]_\d+$")


def latent_columns(columns: Iterable[str]) -> list[str]:
    """Return the latent columns (``s_00``.., ``z_00``.., ``t_00``..) in the order of the table."""
    return [column for column in columns if LATENT.match(column)]


def spaces_of(columns: Iterable[str]) -> dict[str, list[str]]:
    """Return the columns of each latent space of a table.

    Parameters
    ----------
    columns
        All column names of an embedding or profile table.

    Returns
    -------
    ``{"combined": s and z, "salient": s, "background": z}`` where the table has both
    ``s_`` and ``z_`` columns, else ``{"combined": z}``: a model with one space. Columns ``t_``
    are the space "technical"; no profile is compared by them, so they are not in "combined".

    Raises
    ------
    InputError
        If there is no ``z_`` column.
    """
    latent = latent_columns(columns)
    salient = [column for column in latent if column.startswith("s_")]
    background = [column for column in latent if column.startswith("z_")]
    if not background:
        raise InputError(
            where="embedding table",
            found="no column z_00, z_01, ...",
            expected="latent columns s_00.. and z_00.., or z_00.. alone",
            fix="name the latent dimensions s_NN and z_NN",
        )
    technical = [column for column in latent if column.startswith("t_")]
    found = {"technical": technical} if technical else {}
    if not salient:
        return {"combined": background, **found}
    combined = salient + background
    return {"combined": combined, "salient": salient, "background": background, **found}


def finite_profiles(profiles: pd.DataFrame, name: str = "gene") -> pd.DataFrame:
    """Keep the targeting profiles that are finite; what is dropped is logged.

    Parameters
    ----------
    profiles
        Columns `name`, is_ntc and latent columns.
    name
        What a profile is of: gene or guide.
    """
    targeting = profiles[~profiles["is_ntc"]]
    finite = np.isfinite(targeting[latent_columns(profiles.columns)].to_numpy()).all(axis=1)
    if not finite.all():
        dropped = targeting[name][~finite]
        logger.warning(
            "%d %ss without a finite profile are left out: %s",
            len(dropped),
            name,
            ", ".join(dropped.head(10)),
        )
    return targeting[finite].reset_index(drop=True)
