"""A table of profiles that others made: parquet, csv or h5ad, its columns chosen and checked."""

import gzip
import logging
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from mcvae_ops.archive.annotations.known_columns import Header
from mcvae_ops.archive.content import (
    GZIP_START,
    UNPACK_ERRORS,
    check_parquet,
    max_content,
    unpacked_bytes,
)
from mcvae_ops.archive.csv_tables import UTF16_STARTS, whole_csv
from mcvae_ops.archive.hdf5_files import opened_hdf5
from mcvae_ops.embeddings.spaces import check_spaces, chosen_columns
from mcvae_ops.errors import InputError

logger = logging.getLogger(__name__)
INDEX = "the index"
# As pandas and R call an index that a CSV was written with.
_NAMELESS = re.compile(r"|Unnamed: ?0|\.\.\.1")
_TEXT_BYTES = 1 << 20  # of a file, which tell whether it is text
_PLAIN_TYPES = {"binary": pa.string(), "large_binary": pa.large_string()}
_NOTHING = ("", "-", "n/a", "na", "nan", "none", "null", "<na>", "#n/a")


def read_profiles(path: Path, where: str) -> pd.DataFrame:
    """Return a table of profiles with a flat index; an index with a meaning becomes columns.

    Parameters
    ----------
    path
        The file: parquet, csv or tsv (also gzipped), or h5ad; its content says which.
    where
        Its path or address, for errors.

    Returns
    -------
    Columns by their name; an index without a name is called `INDEX`, and so is a first column
    without one. A column of lists becomes ``{name}_{k}``. Of an h5ad: the columns of obs, X by the
    names of var, and each matrix of obsm as ``{key}_{k}``.

    Raises
    ------
    InputError
        If the file is none of these, is damaged, or has two columns of one name.
    """
    with open(path, "rb") as handle:
        start = handle.read(8)
    try:
        if start.startswith(b"PAR1"):
            check_parquet(path, max_content(path.stat().st_size))
            table = _from_parquet(path)
        elif start.startswith(b"\x89HDF"):
            table = _from_anndata(path)
        else:
            table = _from_text(path)
        if not isinstance(table.index, pd.RangeIndex):
            names = [name or INDEX for name in table.index.names]
            table = table.rename_axis(index=names).reset_index()
    except (*UNPACK_ERRORS, pa.ArrowException, OSError, KeyError) as error:
        raise InputError(
            where=where,
            found=f"no table that can be read ({str(error)[:200]})",
            expected="a whole parquet, csv or h5ad file",
            fix="replace it; each column needs a name in the first line of a csv",
        ) from None
    if table.empty:
        raise InputError(
            where=where, found="no row", expected="a row for each profile", fix="replace it"
        )
    table.columns = table.columns.map(str)
    if len(table.columns) and INDEX not in table and _NAMELESS.fullmatch(table.columns[0]):
        table = table.rename(columns={table.columns[0]: INDEX})
    if not table.columns.is_unique:
        twice = table.columns[table.columns.duplicated()][0]
        raise InputError.twice(where=where, what=f"the column {twice!r}", fix="rename one of them")
    return table


def named_column(
    table: pd.DataFrame, role: str, columns: Mapping[str, str], where: str, key: str
) -> pd.Series:
    """Return the column that the configuration names for a role, or the one of that name.

    Raises
    ------
    InputError
        If there is no such column.
    """
    name = columns.get(role, role)
    if name not in table:
        raise InputError(
            where=where,
            found=f"columns {', '.join(table.columns[:12])}{' ...' * (len(table.columns) > 12)}",
            expected=f"a column {name!r}",
            fix=f"correct {key}.columns.{role}",
        )
    return table[name]


def gene_column(table: pd.DataFrame, columns: Mapping[str, str], where: str, key: str) -> pd.Series:
    """Return the gene of each profile.

    It is the column that the configuration names, else the only index (if it numbers no rows), else
    a column that is called as such columns are.

    Raises
    ------
    InputError
        If there is none, or it holds numbers or empty fields.
    """
    names = [name for name in table.columns if not name.isdigit()]
    has_index = INDEX in table and not pd.api.types.is_numeric_dtype(table[INDEX])
    name = columns.get("gene") or (INDEX if has_index else None)
    if name is None:
        place = Header(names, {}, where).find("gene")
        name = names[place] if place is not None else INDEX if INDEX in table else "gene"
    genes = named_column(table, "gene", {"gene": name}, where, key)
    is_text = genes.map(lambda gene: isinstance(gene, str) and bool(gene.strip()))
    if not is_text.all() or genes.str.isdigit().all():
        wrong = genes[~is_text] if not is_text.all() else genes
        raise InputError(
            where=where,
            found=f"genes called {', '.join(map(str, wrong.iloc[:3]))} in {name}",
            expected="a gene symbol for every profile (numbers may be Entrez ids, or row numbers)",
            fix=f"name the column of gene symbols in {key}.columns.gene",
        )
    return genes.str.strip()


def numbers_in(values: pd.Series, where: str, unit: str = "") -> pd.Series:
    """Return a column as numbers, also where they are text: ``3.2%`` (with the unit), ``0,032``.

    A comma is a decimal point where no number of the column has a point. What is missing, by any of
    the words for it (n/a), is NaN and is counted in a warning.

    Raises
    ------
    InputError
        If other text stands there: all of it is counted, and some shown.
    """
    text = values.astype("string").str.strip()
    is_missing = text.isna() | text.str.lower().isin(_NOTHING)
    plain = text.str.removesuffix(unit).str.strip()
    if not plain.str.contains(".", regex=False).any():
        plain = plain.str.replace(",", ".", regex=False)
    numbers = pd.to_numeric(plain.mask(is_missing), errors="coerce").astype("Float64")
    wrong = values[numbers.isna() & ~is_missing]
    if len(wrong):
        raise InputError(
            where=f"{where}, column {values.name!r}",
            found=f"{len(wrong)} of {len(values)} values that are no numbers ({_some(wrong)})",
            expected=f"numbers, such as 0.032 or 0,032{unit and f' (in {unit})'}, or n/a",
            fix="correct them, or name another column",
        )
    if is_missing.any():
        n_missing = int(is_missing.sum())
        logger.warning("%s: %d of %d values of %r are missing", where, n_missing, len(values),
                       values.name)  # fmt: skip
    return numbers.astype(np.float64)


def _some(values: pd.Series) -> str:
    return ", ".join(dict.fromkeys(map(str, values.head(10)))) + " ..." * (len(values) > 10)


def space_columns(
    table: pd.DataFrame, spaces: Mapping[str, str | Sequence[str]], where: str, key: str
) -> dict[str, list[str]]:
    """Return the columns of each space.

    Parameters
    ----------
    table
        As `read_profiles` returns it.
    spaces
        As in `mcvae_ops.embeddings.spaces.chosen_columns`.
    where, key
        The table and the key of the configuration, for errors.

    Raises
    ------
    InputError
        If the names of the spaces are others, a column is missing, belongs to two spaces, or holds
        no numbers.
    """
    check_spaces(spaces, key, list(table.select_dtypes("number").columns))
    chosen = chosen_columns(spaces, list(table.columns), where, key)
    for column in (column for columns in chosen.values() for column in columns):
        if not pd.api.types.is_numeric_dtype(table[column]) or table[column].dtype == bool:
            is_number = pd.to_numeric(table[column], errors="coerce").notna()
            odd = table[column][~is_number | (table[column].dtype == bool)].head(1).to_list()
            raise InputError(
                where=where,
                found=f"{table[column].dtype} {odd} in column {column!r}",
                expected="numbers in every column of a space",
                fix=f"correct {key}.spaces or the table",
            )
    return chosen


def _from_parquet(path: Path) -> pd.DataFrame:
    rows = pq.read_table(path)
    for at, field in enumerate(rows.schema):
        kind = _PLAIN_TYPES.get(str(field.type), field.type)
        if pa.types.is_decimal(kind):
            kind = pa.float64()
        if kind != field.type:
            rows = rows.set_column(at, field.with_type(kind), rows[at].cast(kind))
    table = rows.to_pandas()
    lists = [name for name, values in table.select_dtypes("object").items()
             if any(isinstance(value, np.ndarray) for value in values)]  # fmt: skip
    for name in lists:
        length = len(next(value for value in table[name] if isinstance(value, np.ndarray)))
        missing = np.full(length, np.nan)
        vectors = np.stack([missing if value is None else value for value in table[name]])
        names = [f"{name}_{k}" for k in range(vectors.shape[1])]
        table = table.join(pd.DataFrame(vectors, table.index, names)).drop(columns=name)
    return table


def _from_text(path: Path) -> pd.DataFrame:
    """Read a csv; a row with another number of fields is an error."""
    content = path.read_bytes()
    if content.startswith(GZIP_START):
        with gzip.open(path) as packed:
            content = unpacked_bytes(packed, max_content(len(content)))
    if b"\0" in content[:_TEXT_BYTES] and not content.startswith(UTF16_STARTS):
        raise ValueError("bytes that are no text")
    return whole_csv(content).to_pandas()


def _from_anndata(path: Path) -> pd.DataFrame:
    with opened_hdf5(path):  # checked, not kept open
        cells = anndata.read_h5ad(path)
    values = cells.X.toarray() if hasattr(cells.X, "toarray") else cells.X
    parts = [cells.obs]
    if values is not None:
        parts.append(pd.DataFrame(values, cells.obs_names, cells.var_names))
    for key, array in cells.obsm.items():
        array = array.toarray() if hasattr(array, "toarray") else np.asarray(array)
        if array.ndim == 2:
            names = [f"{key}_{k}" for k in range(array.shape[1])]
            parts.append(pd.DataFrame(array, cells.obs_names, names))
    table = pd.concat(parts, axis=1)
    for column in table.select_dtypes(["category", "object"]):
        table[column] = table[column].map(_decoded).astype(object)
    return table


def _decoded(value: object) -> object:
    return value.decode() if isinstance(value, bytes) else value
