"""Addresses as patterns: what a path says of plate, well, tile and channel, and the way back.

``{plate}/r{row:2}c{column:2}f{tile:2}-ch{channel:1}{*}.tiff`` reads a path, and is filled in where
nothing can be listed. ``{*}`` is any text without a slash that means nothing; ``{channel:1}`` is
exactly one character. ``{well}`` is letters and digits, ``{tile}`` is digits. The suffix of a file
is read in capitals, too.
"""

import re
import string
from collections.abc import Mapping
from dataclasses import dataclass

from mcvae_ops.errors import InputError

FIELDS = ("plate", "well", "row", "column", "tile", "channel", "stage")
# Characters of a field, and the most of them; others (plate, channel, stage) are any text.
_CHARACTERS = {
    "tile": ("[0-9]", 20),
    "column": ("[0-9]", 4),
    "row": ("[A-Za-z0-9]", 4),
    "well": ("[A-Za-z0-9]", 32),
}
MOST_WIDTH = 99
_MOST_PATH_BYTES = 1024
_ANY, _TEXT = "*", "[^/]"
ZARR = re.compile(r"\.zarr(?=/|$)", re.IGNORECASE)
_WELL = re.compile(r"(?:[rR](\d+)[cC](\d+)|([A-Za-z]{1,2})0*(\d{1,3}))")


@dataclass(frozen=True)
class Piece:
    """Literal text, then a field: its name (None at the end) and the number of its characters."""

    text: str
    field: str | None
    width: int | None


class Pattern:
    """An address with fields.

    Parameters
    ----------
    text
        The address.
    where
        Configuration key, for errors.

    Attributes
    ----------
    fields
        Names of the fields that occur, except ``*``.

    Raises
    ------
    InputError
        If a field is not known, or its width is no number.
    """

    def __init__(self, text: str, where: str = "configuration key screen.images") -> None:
        self.text, self.where = text, where
        try:
            parsed = list(string.Formatter().parse(text))
        except ValueError as error:
            raise self._wrong(f"{text!r} ({error})") from None
        self.pieces = [self._piece(*piece) for piece in parsed]
        self.fields = {p.field for p in self.pieces if p.field not in (None, _ANY)}

    def regex(self, values: Mapping[str, list[str]] | None = None) -> re.Pattern:
        """Return a regular expression with one named group per field.

        The time to match grows with the length of a path, not with a power of it, whatever the
        path: a field of any text ends where what follows it, up to the next such field, first
        fits. A later place would leave less to that next field, so none is tried (``(?>...)``),
        unless a field in between occurs again further on.

        Parameters
        ----------
        values
            The only values that a field can have, by field; other fields read any text.
        """
        known = values or {}
        parts, seen, is_open = [], set(), False
        for k, piece in enumerate(self.pieces):
            text = re.escape(piece.text)
            if k == len(self.pieces) - 1 and piece.field is None:
                text = _with_suffix(piece.text)
            parts.append(text)
            if piece.field is None:
                continue
            if piece.field in seen:
                parts.append(f"(?P={piece.field})")
                continue
            kind = self._kind(piece, known.get(piece.field))
            if kind.startswith(_TEXT) and not piece.width and seen.isdisjoint(self._left(k)):
                parts.append(")(?>" if is_open else "(?>")
                is_open = True
            parts.append(kind if piece.field == _ANY else f"(?P<{piece.field}>{kind})")
            seen |= {piece.field} - {_ANY}
        return re.compile("".join(parts) + (r"\Z)" if is_open else ""))

    def fill(self, values: Mapping[str, str | int]) -> str:
        """Return the address of some values; numbers are brought to the width of their field."""
        return "".join(piece.text + self._value(piece, values) for piece in self.pieces)

    def prefix(self, values: Mapping[str, str]) -> str:
        """Return what stands before the first field without a value: all paths begin with it."""
        parts = []
        for piece in self.pieces:
            parts.append(piece.text)
            if piece.field not in values:
                break
            parts.append(self._value(piece, values))
        return "".join(parts)

    def can_be_filled(self) -> bool:
        """Say whether values of its fields give one address: it has no ``{*}``."""
        return all(piece.field != _ANY for piece in self.pieces)

    def _piece(self, text: str, field: str | None, width: str | None, conversion) -> Piece:
        if field is not None and (field not in (*FIELDS, _ANY) or conversion):
            raise self._wrong(f"{{{field}}}")
        if width and not (width.isascii() and width.isdigit() and 0 < int(width) <= MOST_WIDTH):
            raise self._wrong(f"{{{field}:{width}}}")
        return Piece(text, field, int(width) if width else None)

    def _kind(self, piece: Piece, values: list[str] | None) -> str:
        if values is not None:
            longest_first = sorted(values, key=len, reverse=True)
            return "|".join(map(re.escape, longest_first)) or "(?!)"
        character, most = _CHARACTERS.get(piece.field, (_TEXT, ""))
        if piece.width:
            return f"{character}{{{piece.width}}}"
        return f"{character}{{{0 if piece.field == _ANY else 1},{most}}}?"

    def _left(self, k: int) -> set[str]:
        """Return the fields from piece `k` on."""
        return {piece.field for piece in self.pieces[k:]}

    def _value(self, piece: Piece, values: Mapping[str, str | int]) -> str:
        if piece.field is None:
            return ""
        value = str(values[piece.field])
        if piece.field == "row" and piece.width and value.isalpha():
            value = str(row_number(value))  # r01 is row A
        return value.zfill(piece.width) if piece.width and value.isdigit() else value

    def _wrong(self, found: str) -> InputError:
        known = ", ".join(f"{{{field}}}" for field in FIELDS)
        return InputError(
            where=self.where,
            found=found,
            expected=f"an address with the fields {known} and {{*}}",
            fix="correct the address",
        )


def _with_suffix(text: str) -> str:
    """Return the end of an address as an expression; its suffix is read in capitals, too."""
    stem, dot, suffix = text.rpartition(".")
    if not dot or "/" in suffix:
        return re.escape(text)
    return f"{re.escape(stem + dot)}(?i:{re.escape(suffix)})"


def well_name(name: str) -> str:
    """Return the one form of a well's name: ``r01c01``, ``A1`` and ``a01`` are A01.

    Names that are no row and column (``Well1``) stay as they are.
    """
    match = _WELL.fullmatch(name)
    if match is None:
        return name
    row_number, column_number, row, column = match.groups()
    if row is None:
        if int(row_number) == 0:
            return name
        row, column = row_letters(int(row_number)), column_number
    return f"{row.upper()}{int(column):02d}"


def row_letters(number: int) -> str:
    """Return the letters of a row of a plate: 1 is A, 26 is Z, 27 is AA."""
    letters = string.ascii_uppercase
    return (
        letters[number - 1]
        if number <= 26
        else row_letters((number - 1) // 26) + letters[(number - 1) % 26]
    )


def row_number(letters: str) -> int:
    """Return the number of a row: A is 1, AA is 27."""
    number = 0
    for letter in letters.upper():
        number = 26 * number + string.ascii_uppercase.index(letter) + 1
    return number


def well_of(fields: Mapping[str, str]) -> str | None:
    """Return the well that a path names, as one field or as row and column; None if it names none.

    Parameters
    ----------
    fields
        Values of the fields.
    """
    if "well" in fields:
        return well_name(fields["well"])
    if "row" not in fields:
        return None
    row = fields["row"]
    return well_name(f"r{row}c{fields['column']}" if row.isdigit() else f"{row}{fields['column']}")


def row_and_column(well: str) -> tuple[str, str]:
    """Return the row and the column in the name of a well, as they are spelled there."""
    column = re.search(r"\d*$", well).group()
    return well.removesuffix(column), column


def wells_of(entry: str | list[str]) -> list[str]:
    """Return the wells that a configuration names: ``A1-B3`` is a rectangle of two rows.

    A name keeps its spelling; the wells of a rectangle are spelled as its first corner is.
    """
    if not isinstance(entry, str):
        return [well for part in entry for well in wells_of(part)]
    corners = re.fullmatch(r"([A-Za-z]{1,2})(\d{1,3})-([A-Za-z]{1,2})(\d{1,3})", entry)
    if corners is None:
        return [entry]
    first_row, first, last_row, last = corners.groups()
    width = len(first) if first.startswith("0") else 1
    rows = range(row_number(first_row), row_number(last_row) + 1)
    columns = range(int(first), int(last) + 1)
    if not rows or not columns:
        raise InputError(
            where="configuration key screen.plates",
            found=entry,
            expected="a rectangle of wells, its upper left corner first",
            fix="correct it, as in A1-B3",
        )
    return [f"{row_letters(row)}{column:0{width}d}" for row in rows for column in columns]


def is_too_long(path: str) -> bool:
    """Say whether a listed path has more bytes than the keys of S3: it is not matched.

    Where a field occurs again, the time to match grows with a power of the length.
    """
    return len(path.encode(errors="surrogatepass")) > _MOST_PATH_BYTES


def is_zarr(address: object) -> bool:
    """Say whether an address lies in an OME-Zarr folder: a step of it ends with ``.zarr``."""
    return ZARR.search(str(address)) is not None
