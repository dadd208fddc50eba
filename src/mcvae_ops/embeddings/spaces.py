"""The columns of an embedding or profile table that form each latent space."""

import logging
import re
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from mcvae_ops.errors import InputError
from mcvae_ops.screen import is_like

logger = logging.getLogger(__name__)

BASELINES = ("cellprofiler", "random")
# What tells cells apart without looking at their content, or without having learnt anything: of
# the table of cells, and of their crops.
CELL_SHORTCUTS = ("density", "position", "cell_count")
CROP_SHORTCUTS = ("surroundings", "random_pixels", "untrained")
SHORTCUTS = CELL_SHORTCUTS + CROP_SHORTCUTS
WHITENED = "whitened_cellprofiler"  # profiles.whitened_cellprofiler
UNTRAINED = (*BASELINES, *SHORTCUTS, WHITENED)  # embeddings that no training seed changes
LATENT = re.compile(r"^[szt]_\d+$")
# The spaces of tables that others made, and the first letter of our columns.
LETTERS = {"salient": "s", "background": "z", "combined": "z"}
_RANGE = re.compile(r"^(\d+)\s*-\s*(\d+)$")


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


def check_spaces(
    spaces: Mapping[str, str | Sequence[str]], key: str, columns: Sequence[str] = ()
) -> None:
    """Refuse spaces of other names than salient and background, or combined.

    Parameters
    ----------
    spaces
        Space -> its columns.
    key
        The key of the configuration above ``spaces``, for errors.
    columns
        Columns of numbers that the table has, if it is known, for errors.

    Raises
    ------
    InputError
        If they are others.
    """
    if set(spaces) in ({"salient", "background"}, {"combined"}):
        return
    shown = [*columns[:3], "...", columns[-1]] if len(columns) > 4 else columns
    raise InputError(
        where=f"configuration key {key}.spaces",
        found=", ".join(spaces) or "nothing",
        expected="salient and background, or combined, with their columns"
        + (f" (of {', '.join(shown)})" if shown else ""),
        fix='name the columns, such as {salient: "0-31", background: "32-63"}',
    )


def chosen_columns(
    spaces: Mapping[str, str | Sequence[str]], columns: Sequence[str], where: str, key: str
) -> dict[str, list[str]]:
    """Return the columns of each space, of a table that others made.

    Parameters
    ----------
    spaces
        Name of the space -> a range of columns that are called by numbers (``"0-31"``), a pattern
        (``"z_*"``), a name, that of a vector (``"dino"`` for ``dino_0``, ``dino_1`` ...), or
        several of these.
    columns
        Columns of the table.
    where, key
        The table, and the key of the configuration above ``spaces``, for errors.

    Raises
    ------
    InputError
        If a column is missing or belongs to two spaces.
    """
    chosen = {
        space: [
            column
            for part in parts_of(parts)
            for column in _columns_of(part, columns, where, f"{key}.spaces.{space}")
        ]
        for space, parts in spaces.items()
    }
    named = [column for of_space in chosen.values() for column in of_space]
    twice = next((column for column in named if named.count(column) > 1), None)
    if twice is not None:
        fix = "correct the columns"
        raise InputError.twice(where=f"configuration key {key}.spaces", what=twice, fix=fix)
    return chosen


def parts_of(columns: str | Sequence[str]) -> list[str]:
    """Return names and patterns of columns, one by one; a range gives its numbers."""
    parts = []
    for part in [columns] if isinstance(columns, str) else columns:
        match = _RANGE.match(part)
        parts += [str(k) for k in range(int(match[1]), int(match[2]) + 1)] if match else [part]
    return parts


class SpaceNames:
    """The columns that the spaces of an embedding name; ``column in names`` asks for one.

    A pattern of signs alone (``*``) names none: it takes what a table calls a feature.

    Attributes
    ----------
    outright
        Names, and patterns as they are written.
    """

    def __init__(self, spaces: Mapping[str, str | Sequence[str]]) -> None:
        parts = [part for columns in spaces.values() for part in parts_of(columns)]
        self.outright = frozenset(parts)
        self._patterns = [part for part in parts if "*" in part and part.strip("*")]

    def __contains__(self, column: str) -> bool:
        return (
            column in self.outright
            or _vector_of(column) in self.outright
            or is_like(column, self._patterns)
        )


def _vector_of(column: str) -> str | None:
    """Return the vector of which a column is a number: ``dino`` of ``dino_12``."""
    name, _, number = column.rpartition("_")
    return name if name and number.isdecimal() else None


def _columns_of(part: str, columns: Sequence[str], where: str, key: str) -> list[str]:
    chosen = [column for column in columns if is_like(column, [part])]
    chosen = chosen or [column for column in columns if _vector_of(column) == part]
    if not chosen:
        raise InputError(
            where=where,
            found=f"no column {part!r} among {len(columns)}"
            + f" ({', '.join(columns[:6])} ...)" * bool(columns),
            expected=f"columns {part}",
            fix=f"correct {key}",
        )
    return chosen
