"""Rows of a text table, all of the same number of fields: a field too many never shifts columns."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

from mcvae_ops.errors import InputError

DELIMITERS = {"\t": "tabs", ",": "commas", ";": "semicolons"}
_BETWEEN = ("\n", "|", *DELIMITERS)
# Spaces of no width, which come along with text that was copied from a page.
_UNSEEN = dict.fromkeys(map(ord, "\u200b\u2060\ufeff"))
# Of a list. In memory, a line of one field takes some 500 bytes, a field of a long line some 50.
_MOST_LINES, MOST_FIELDS = 2_000_000, 10_000_000
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True)
class Rows:
    """Rows of a table, as text.

    Attributes
    ----------
    rows
        The fields of each row, trimmed; the first row may be a header. All have the same number.
    where
        The file, for errors.
    delimiter
        What stands between the fields; None for a single column, or where no text was split.
    literal
        Whether quotation marks are characters like any other, because they do not come in pairs.
    """

    rows: list[list[str]]
    where: str
    delimiter: str | None = None
    literal: bool = False


def decoded(content: bytes, where: str) -> str:
    """Return bytes as text with ``\\n`` at the end of each line.

    UTF-8 with or without a byte order mark and UTF-16 with one are read. Spaces of no width are
    left out.

    Raises
    ------
    InputError
        If the bytes are no such text, or more lines and fields than a list has.
    """
    encoding = "utf-16" if content.startswith(_UTF16) else "utf-8-sig"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        raise _no_text(where, f"bytes that are no text ({error.reason})") from None
    if "\0" in text:
        raise _no_text(where, "characters of value 0")
    text = text.translate(_UNSEEN).replace("\r\n", "\n").replace("\r", "\n")
    n_lines, n_fields = text.count("\n"), sum(map(text.count, _BETWEEN))
    if n_lines > _MOST_LINES or n_fields > MOST_FIELDS:
        raise InputError(
            where=where,
            found=f"{n_lines:,} lines and {n_fields:,} fields",
            expected=f"a list of genes, at most {_MOST_LINES:,} lines and {MOST_FIELDS:,} fields",
            fix="keep only the rows and columns that are needed",
        )
    return text


def head_of(text: str, n_lines: int = 1000) -> str:
    """Return the first lines of a text, and those that an open quotation mark needs further."""
    lines = text.split("\n")
    quotes = sum(line.count('"') for line in lines[:n_lines])
    while quotes % 2 and n_lines < len(lines):
        quotes += lines[n_lines].count('"')
        n_lines += 1
    return "\n".join(lines[:n_lines])


def split_rows(text: str, where: str) -> Rows:
    """Split a text with tabs, commas or semicolons into rows.

    The first line says which of the three it is: the first that occurs in it. Rows without any
    content are left out. Quoted fields may hold delimiters and line breaks. If the quotation marks
    do not come in pairs, as in ``5" wide``, they are taken as characters. Lines that begin with
    ``#`` before the first row, or in a single column, are comments; not so a header.

    Parameters
    ----------
    text
        As `decoded` returns it.
    where
        Named in errors.

    Raises
    ------
    InputError
        If the text is empty, a row has another number of fields than the first one, or an opened
        quotation mark swallows rows.
    """
    lines = _without_comments(text.split("\n"))
    text = "\n".join(lines)
    first = next((line for line in lines if line.strip()), None)
    if first is None:
        raise InputError(where=where, found="an empty file", expected="rows", fix="replace it")
    delimiter = next((sign for sign in DELIMITERS if sign in first), None)
    literal = [(number, _split(line, delimiter)) for number, line in enumerate(lines, start=1)]
    literal = [(number, row) for number, row in literal if any(row)]
    quoted = literal
    if '"' in text:
        quoted = _quoted(text, lines, delimiter, len(_split(first, delimiter)))
    if quoted is not None and _odd(quoted) is None:
        return Rows([row for _, row in quoted], where, delimiter)
    if _odd(literal) is None:
        return Rows([row for _, row in literal], where, delimiter, literal=True)
    if quoted is None:
        raise InputError(
            where=where,
            found="a quotation mark that opens and does not close where its field ends",
            expected="quotation marks in pairs around whole fields",
            fix="close it, or delete the quotation marks",
        )
    raise _ragged(where, quoted, _odd(quoted), delimiter)


def _without_comments(lines: list[str]) -> list[str]:
    """Return the lines of a table, those that are comments empty."""
    numbers = [number for number, line in enumerate(lines) if line.strip()]
    first = next((at for at, k in enumerate(numbers) if not lines[k].startswith("#")), 0)
    comments = set(numbers[:first])
    if first:
        last, row = (_by_any(lines[numbers[at]]) for at in (first - 1, first))
        if len(last) == len(row) > 1:
            comments.discard(numbers[first - 1])  # a header, as BioGRID and NCBI write it
        elif len(row) == 1:
            comments |= {k for k in numbers if lines[k].startswith("#")}
    return ["" if k in comments else line for k, line in enumerate(lines)]


def _quoted(
    text: str, lines: Sequence[str], delimiter: str | None, width: int
) -> list[tuple[int, list[str]]] | None:
    """Return (line, fields) of each row by the rules of CSV; None if the quotes do not fit."""
    csv.field_size_limit(max(csv.field_size_limit(), len(text) + 1))
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter or "\t", strict=True)
    rows, last = [], 0
    try:
        for row in reader:
            # A line within a quoted field that looks like a row: the quote is open by mistake.
            inner = lines[last + 1 : reader.line_num]
            if width > 1 and any(len(_split(line, delimiter)) >= width for line in inner):
                return None
            fields = [field.strip() for field in row]
            if any(fields):
                if delimiter is None and not lines[last].lstrip().startswith('"'):
                    fields = _by_any(lines[last])
                rows.append((last + 1, fields))
            last = reader.line_num
    except csv.Error:
        return None
    return rows


def _split(line: str, delimiter: str | None) -> list[str]:
    if delimiter is None:
        return _by_any(line)
    return [field.strip() for field in line.split(delimiter)]


def _by_any(line: str) -> list[str]:
    """Split a line below a single name: a delimiter in it is a field too many."""
    sign = next((sign for sign in DELIMITERS if sign in line), None)
    return [field.strip() for field in (line.split(sign) if sign else [line])]


def _odd(rows: Sequence[tuple[int, list[str]]]) -> int | None:
    """Return the position of the first row with another number of fields than the first one."""
    width = len(rows[0][1])
    return next((k for k, (_, row) in enumerate(rows) if len(row) != width), None)


def _ragged(
    where: str, rows: Sequence[tuple[int, list[str]]], odd: int, delimiter: str | None
) -> InputError:
    number, row = rows[odd]
    sets = "; sets of genes (GMT) need a name that ends with .gmt" if delimiter == "\t" else ""
    return InputError(
        where=f"{where}, line {number}",
        found=f"{len(row)} fields ({_shown(row)})",
        expected=f"{len(rows[0][1])}, as in the first line ({_shown(rows[0][1])})",
        fix=f"correct the line; a field that holds the delimiter needs quotation marks{sets}",
    )


def _shown(row: Sequence[str]) -> str:
    text = ", ".join(field or "''" for field in row)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _no_text(where: str, found: str) -> InputError:
    return InputError(
        where=where, found=found, expected="a text table", fix="save it as text in UTF-8"
    )
