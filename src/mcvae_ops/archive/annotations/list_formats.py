"""Rows of a list in any format in which lists of genes come.

Text tables (tabs, commas, semicolons), GMT, JSON, a list in a notebook (also one that is commented
out), parquet; each as it is,
gzipped or in a zip archive. Named sets of genes (GMT, JSON, a dictionary in a notebook) become rows
(set, gene).
"""

import ast
import io
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import groupby
from pathlib import PurePosixPath
from urllib.parse import urlsplit

import pandas as pd
import pyarrow as pa

from mcvae_ops.archive.annotations.text_rows import Rows, decoded, head_of, split_rows
from mcvae_ops.archive.annotations.unpacking import MOST_BYTES, unpacked
from mcvae_ops.archive.content import check_parquet
from mcvae_ops.errors import InputError

SET, GENE = "set", "gene"
# "file.ipynb#name": formats that hold several named lists.
_NAMED = re.compile(r"^(.+\.(?:ipynb|json|gmt)(?:\.gz|\.zip)?)#([^#/]+)$", re.IGNORECASE)
_PARQUET = b"PAR1"
_WEIGHT = re.compile(r",[-+]?[\d.]+([eE][-+]?\d+)?$")  # Enrichr's form of GMT: AURKA,1.0
_MOST_CODE = 4_000_000  # characters of a notebook; parsed, each may take 200 bytes of memory
_ASSIGNMENT = re.compile(r"\w+ *= *[\[{(]")


def place_and_name(table: str) -> tuple[str, str | None]:
    """Split ``file.ipynb#name`` into the path or address and the name of one list in it."""
    match = _NAMED.match(table)
    return (match[1], match[2]) if match else (table, None)


def rows_of(content: bytes, table: str, head: bool = False) -> Rows:
    """Return the rows of a list.

    Parameters
    ----------
    content
        Bytes of the file.
    table
        Path or address, for errors; its suffix tells GMT from other text, and ``#name`` behind it
        names one of several lists.
    head
        Whether the first lines of a text table are enough.

    Raises
    ------
    InputError
        If the file is in none of the formats, is damaged, or has no list of that name.
    """
    place, name = place_and_name(table)
    content = unpacked(content, place)
    if content.startswith(_PARQUET):
        return _parquet_rows(content, place)
    text = decoded(content, place)
    if _has_suffix(place, ".gmt"):
        return _set_rows(_gmt_sets(text, place), name, place)
    if text.lstrip()[:1] in ("{", "["):
        return _json_rows(text, name, place)
    return split_rows(head_of(text) if head else text, place)


def _has_suffix(place: str, suffix: str) -> bool:
    path = PurePosixPath(urlsplit(place).path.lower())
    return suffix in path.suffixes[-2:]


def _parquet_rows(content: bytes, where: str) -> Rows:
    """Return the columns and, if it has a meaning, the index of a parquet table as text."""
    try:
        check_parquet(io.BytesIO(content), MOST_BYTES)
        table = pd.read_parquet(io.BytesIO(content))
    except (pa.ArrowInvalid, OSError, ValueError) as error:
        raise _wrong(where, f"a damaged parquet file ({error})", "replace it") from None
    if not isinstance(table.index, pd.RangeIndex):
        named = GENE if table.index.name is None and GENE not in table else table.index.name
        table = table.rename_axis(named).reset_index()
    text = table.astype("string").fillna("")
    fields = [[str(field).strip() for field in row] for row in text.itertuples(index=False)]
    return Rows([[str(column) for column in table.columns], *fields], where)


def _gmt_sets(text: str, where: str) -> dict[str, list[str]]:
    """Return the sets of a GMT file: name, description, genes, with tabs between them."""
    sets: dict[str, list[str]] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        fields = [field.strip() for field in line.split("\t")]
        if not any(fields):
            continue
        if len(fields) < 3 or not fields[0]:
            fix = "replace it"
            raise _wrong(f"{where}, line {number}", f"{len(fields)} fields", fix, "a set of GMT")
        if fields[0] in sets:
            raise InputError.twice(where=where, what=f"the set {fields[0]!r}", fix="rename one")
        sets[fields[0]] = [_WEIGHT.sub("", gene) for gene in fields[2:] if gene]
    return sets


def _json_rows(text: str, name: str | None, where: str) -> Rows:
    def once(pairs: list[tuple[str, object]]) -> dict[str, object]:
        value = dict(pairs)
        if len(value) < len(pairs):
            twice = next(key for key, n in Counter(key for key, _ in pairs).items() if n > 1)
            raise InputError.twice(where=where, what=f"the key {twice!r}", fix="rename one")
        return value

    try:
        value = json.loads(text, object_pairs_hook=once)
    except InputError:
        raise
    except (ValueError, RecursionError) as error:
        raise _wrong(where, f"damaged JSON ({error})", "replace it") from None
    if isinstance(value, dict) and "nbformat" in value:
        value = _assigned(value, name, where)
    elif isinstance(value, dict) and name is not None and all(_is_genes(v) for v in value.values()):
        return _set_rows(value, name, where)
    return _value_rows(value, where)


def _value_rows(value: object, where: str) -> Rows:
    """Return genes, lists of genes by set, sets by gene, or records with alike keys, as rows."""
    if _is_genes(value):
        return Rows([[GENE], *([gene.strip()] for gene in value)], where)
    if isinstance(value, dict) and value and all(_is_genes(genes) for genes in value.values()):
        return _set_rows(value, None, where)
    if isinstance(value, dict) and value and all(isinstance(v, str) for v in value.values()):
        rows = [[gene.strip(), label.strip()] for gene, label in value.items()]
        return Rows([[GENE, SET], *rows], where)
    if isinstance(value, list) and value and all(isinstance(record, dict) for record in value):
        return _record_rows(value, where)
    kind = type(value).__name__
    expected = "a list of genes, lists by group ({group: [genes]}), or groups by gene"
    raise _wrong(where, f"a {kind} of another form", "replace it", expected)


def _record_rows(records: list[dict], where: str) -> Rows:
    """Return records as rows; a list of genes in a record as one field of several genes.

    What holds more than values is marked in the header: no column of genes is called so.
    """
    names = list(dict.fromkeys(name for record in records for name in record))
    values = {name: [record.get(name) for record in records] for name in names}
    is_nested = {name: any(map(_holds_more, of_all)) for name, of_all in values.items()}
    header = [f"{name} (nested)" if is_nested[name] else name for name in names]
    fields = [list(map(_field, row)) for row in zip(*values.values(), strict=True)]
    return Rows([header, *fields], where)


def _holds_more(value: object) -> bool:
    return isinstance(value, dict) or (isinstance(value, list) and not _is_genes(value))


def _field(value: object) -> str:
    if value is None:
        return ""
    return ";".join(value) if _is_genes(value) else str(value).strip()


def _set_rows(sets: dict[str, Iterable[str]], name: str | None, where: str) -> Rows:
    if name is not None:
        sets = {name: _entry(sets, name, where)}
    rows = [[label, gene.strip()] for label, genes in sets.items() for gene in genes]
    return Rows([[SET, GENE], *rows], where)


def _is_genes(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(gene, str) for gene in value)


def _assigned(notebook: dict, name: str | None, where: str) -> object:
    """Return the literal that a notebook assigns to a name, in code or else in a comment."""
    n = sum(len(line) for lines in _cells(notebook) for line in lines)
    if n > _MOST_CODE:
        fix = "write the list into a file of its own"
        raise _wrong(where, f"{n:,} characters of code", fix, f"at most {_MOST_CODE:,}")
    lists = _lists_in(_code(notebook), name, where)
    if name is None:
        raise _wrong(
            where,
            f"a notebook with the lists {', '.join(lists) or 'none'}",
            f"write {where}#NAME",
            "the name of one list behind a #",
        )
    if name not in lists:
        lists |= _lists_in(_commented_out(notebook), name, where)
    return _entry(lists, name, where)


def _lists_in(trees: Iterable[ast.Module], name: str | None, where: str) -> dict[str, object]:
    """Return the lists and dictionaries that code assigns to names, `name` to one value alone."""
    values: dict[str, object] = {}
    for tree in trees:
        for node in ast.walk(tree):
            if not (isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)):
                continue
            try:
                value = ast.literal_eval(node.value)
            except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
                continue
            value = list(value) if isinstance(value, tuple) else value
            value = sorted(value, key=str) if isinstance(value, set) else value
            label = node.targets[0].id
            if label == name and values.get(label, value) != value:
                fix = "write the list into a file of its own"
                raise InputError.twice(where=where, what=f"the list {name!r}", fix=fix)
            values[label] = value
    return {label: value for label, value in values.items() if isinstance(value, list | dict)}


def _code(notebook: dict) -> Iterator[ast.Module]:
    """Yield the code cells that Python can parse, without magic and shell lines."""
    for lines in _cells(notebook):
        yield from _parsed(line for line in lines if not line.lstrip().startswith(("%", "!")))


def _commented_out(notebook: dict) -> Iterator[ast.Module]:
    """Yield the assignments that are commented out: ``# name = [`` to the line that closes it."""
    for lines in _cells(notebook):
        for is_comment, block in groupby(lines, lambda line: line.lstrip().startswith("#")):
            text = [line.strip().lstrip("#").strip() for line in block] if is_comment else []
            ends, first = _ends(text), 0
            while first < len(text):
                end = first + 1
                if _ASSIGNMENT.match(text[first]) and first in ends:
                    end = ends[first]
                    yield from _parsed(text[first:end])
                first = end


def _ends(lines: list[str]) -> dict[int, int]:
    """Return behind which line the brackets are closed that open in a line, where they are."""
    ends, open_lines, depth = {}, [], 0
    for k, line in enumerate(lines):
        open_lines.append((k, depth))
        depth += sum(map(line.count, "([{")) - sum(map(line.count, ")]}"))
        while open_lines and open_lines[-1][1] >= depth:
            ends[open_lines.pop()[0]] = k + 1
    return ends


def _cells(notebook: dict) -> Iterator[list[str]]:
    """Yield the lines of each code cell."""
    for cell in notebook.get("cells") or []:
        if isinstance(cell, dict) and cell.get("cell_type") == "code":
            yield "".join(map(str, cell.get("source") or "")).split("\n")


def _parsed(lines: Iterable[str]) -> Iterator[ast.Module]:
    with suppress(SyntaxError, ValueError, RecursionError, MemoryError):
        yield ast.parse("\n".join(lines))


def _entry(entries: dict, name: str, where: str) -> object:
    if name not in entries:
        names = ", ".join(list(entries)[:10]) or "none"
        raise _wrong(where, f"no list {name!r}", "correct the name behind the #", f"one of {names}")
    return entries[name]


def _wrong(where: str, found: str, fix: str, expected: str = "a list of genes") -> InputError:
    return InputError(where=where, found=found, expected=expected, fix=fix)
