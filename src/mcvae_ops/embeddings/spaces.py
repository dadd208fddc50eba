"""The columns of an embedding or profile table that form each latent space."""

import logging
import re
from collections.abc import Iterable, Sequence

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
    ``{"combined": s and z, "salient": s, "background": z}`` if the table has both ``s_`` and ``z_``
    columns; ``{"combined": z}`` if it has only ``z_`` columns, of a model with one space. Columns
    ``t_`` are the space "technical"; they are not in "combined", because no profile is compared by
    them.

    Raises
    ------
    InputError
        If there is no ``z_`` column.
    """
    latent = latent_columns(columns)
    salient = [column for column in latent if column.startswith("s_")]
    background = [column for column in latent if column.startswith("z_")]
    if not background:
        raise InputError.missing(
            where="embedding table",
            what="column z_00",
            why="an embedding has latent columns s_00.. and z_00.., or only z_00..",
            fix="name the latent dimensions s_NN and z_NN",
        )
    technical = [column for column in latent if column.startswith("t_")]
    others = {"technical": technical} if technical else {}
    if not salient:
        return {"combined": background, **others}
    combined = salient + background
    return {"combined": combined, "salient": salient, "background": background, **others}


def space_dimensions(columns: Sequence[str]) -> dict[str, list[int]]:
    """Return the positions of the columns of each latent space; see `spaces_of`."""
    position = {column: k for k, column in enumerate(columns)}
    return {space: [position[name] for name in of] for space, of in spaces_of(columns).items()}


def in_space(latent: np.ndarray, dimensions: Sequence[int]) -> np.ndarray:
    """Return some dimensions of cells, (cell, dimension): no copy where they are neighbours."""
    first, stop = dimensions[0], dimensions[-1] + 1
    if list(dimensions) == list(range(first, stop)):
        return latent[:, first:stop]
    return latent[:, dimensions]


def finite_profiles(profiles: pd.DataFrame, name: str = "gene") -> pd.DataFrame:
    """Return the targeting profiles that are finite; the others are logged.

    Parameters
    ----------
    profiles
        Columns `name`, is_ntc and latent columns.
    name
        Column with the name of a profile: gene or guide.
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
