"""What a table says of its columns before its rows are read, in any format."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa

Place = str | Path | BinaryIO


@dataclass(frozen=True)
class Header:
    """What a table says of its columns before its rows are read.

    Attributes
    ----------
    kinds
        By column: ``number``, ``text``, ``time``, ``empty`` (no value, as far as the header knows)
        or ``other``.
    no_features
        Columns that the format itself tells from measurements, with the reason. A vector of each
        cell (a column of lists, an array of obsm) is read as columns ``{name}_{k}``: they are taken
        only where the configuration names them.
    twice
        Names that several columns have.
    """

    kinds: dict[str, str]
    no_features: dict[str, str] = field(default_factory=dict)
    twice: list[str] = field(default_factory=list)


def header_of_schema(schema: pa.Schema, no_features: dict[str, str] | None = None) -> Header:
    """Return the header of a table with the columns of a schema."""
    twice = [name for name, n in Counter(schema.names).items() if n > 1]
    return Header({one.name: kind_of(one.type) for one in schema}, no_features or {}, twice)


def kind_of(type_: pa.DataType) -> str:
    """Return the kind of a column, as `Header` names it."""
    if pa.types.is_dictionary(type_):
        type_ = type_.value_type
    if pa.types.is_null(type_):
        return "empty"
    if any(test(type_) for test in (pa.types.is_integer, pa.types.is_floating,
                                    pa.types.is_decimal, pa.types.is_boolean)):  # fmt: skip
        return "number"
    if pa.types.is_temporal(type_):
        return "time"
    is_text = pa.types.is_string(type_) or pa.types.is_large_string(type_)
    return "text" if is_text or pa.types.is_string_view(type_) else "other"
