"""A table of profiles that others made: parquet, csv or h5ad, its columns chosen and checked."""

import gzip
from collections.abc import Mapping, Sequence
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pa_csv

from mcvae_ops.archive.annotations.known_columns import Header
from mcvae_ops.archive.content import (
    GZIP_START,
    UNPACK_ERRORS,
    check_parquet,
    max_content,
    unpacked_bytes,
)
from mcvae_ops.embeddings.spaces import check_spaces, chosen_columns
from mcvae_ops.errors import InputError

INDEX = "the index"


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
    Columns by their name; an index without a name is called `INDEX`. Of an h5ad: the columns of
    obs, X by the names of var, and each array of obsm as ``{key}_{k}``.

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
            table = pd.read_parquet(path)
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
            fix="replace it",
        ) from None
    table.columns = table.columns.map(str)
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

    It is the column that the configuration names, else the only index, else a column that is called
    as such columns are.

    Raises
    ------
    InputError
        If there is none, or it holds numbers or empty fields.
    """
    names = [name for name in table.columns if not name.isdigit()]
    name = columns.get("gene") or (INDEX if INDEX in table else None)
    if name is None:
        place = Header(names, {}, where).find("gene")
        name = names[place] if place is not None else "gene"
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
            raise InputError(
                where=where,
                found=f"{table[column].dtype} in column {column!r}",
                expected="numbers in every column of a space",
                fix=f"correct {key}.spaces or the table",
            )
    return chosen


def _from_text(path: Path) -> pd.DataFrame:
    """Read a csv; a row with another number of fields is an error."""
    content = path.read_bytes()
    if content.startswith(GZIP_START):
        with gzip.open(path) as packed:
            content = unpacked_bytes(packed, max_content(len(content)))
    first = content.partition(b"\n")[0]
    delimiter = next((sign for sign in "\t,;" if sign.encode() in first), ",")
    options = pa_csv.ParseOptions(delimiter=delimiter)
    return pa_csv.read_csv(pa.BufferReader(content), parse_options=options).to_pandas()


def _from_anndata(path: Path) -> pd.DataFrame:
    cells = anndata.read_h5ad(path)
    values = cells.X.toarray() if hasattr(cells.X, "toarray") else cells.X
    parts = [cells.obs]
    if values is not None:
        parts.append(pd.DataFrame(values, cells.obs_names, cells.var_names))
    for key, array in cells.obsm.items():
        array = np.asarray(array)
        names = [f"{key}_{k}" for k in range(array.shape[1])]
        parts.append(pd.DataFrame(array, cells.obs_names, names))
    table = pd.concat(parts, axis=1)
    for column in table.select_dtypes("category"):
        table[column] = table[column].astype(object)
    return table
