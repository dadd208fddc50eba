"""What the columns of a table are called here: columns, texts that are joined, sums, parsed texts.

``"{well_row}{well_col}"`` joins text, ``"{Center_Y} + {Shift_Y}"`` calculates (with a space on both
sides of each sign), and any other value is the name of a column. A text such as ``P1_A1_7`` is read
by a pattern, ``"{plate}_{well}_{*}"``. Where no column is called so, ``row_number`` counts the rows
of a file from 0: ``"crops.npy#{row_number}"``.
"""

import ast
import difflib
import operator
import re
import string
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from mcvae_ops.archive.patterns import Pattern, well_name, well_of
from mcvae_ops.archive.table_header import Header
from mcvae_ops.errors import InputError
from mcvae_ops.screen import COLUMNS

POSITION = ("y_px", "x_px")
DOSE = "dose"
KNOWN = (*COLUMNS, "role", "stage")
OUR_NAMES = (*KNOWN, DOSE, "split", "cell_id", "crop")
ROW_NUMBER = "row_number"
_OPERATIONS = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
# What stands where a text has no value; "null" and "None" may be labels (a genotype, a treatment).
_NOTHING = ["", "nan", "NaN", "NA", "N/A", "<NA>", "NULL"]


@dataclass(frozen=True)
class Expression:
    """Where the values of a name come from.

    Attributes
    ----------
    text
        As the configuration has it.
    columns
        The columns that it needs.
    calculates
        Whether they are numbers that it calculates with; otherwise their texts are joined.
    """

    text: str
    columns: tuple[str, ...]
    calculates: bool

    def texts(self, values: Mapping[str, pa.Array]) -> pa.Array:
        """Return the text of each row; null where one of its parts is."""
        if self.calculates:
            return as_text(pa.array(self.numbers(values)))
        if "{" not in self.text:
            return as_text(values[self.text])
        parts = []
        for literal, column, *_ in string.Formatter().parse(self.text):
            parts += [pa.scalar(literal)] * bool(literal)
            parts += [whole_numbers(as_text(values[column]))] * (column is not None)
        return pc.binary_join_element_wise(*parts, "")

    def numbers(self, values: Mapping[str, pa.Array]) -> np.ndarray:
        """Return the number of each row, float64; NaN where it has none."""
        if not self.calculates:
            return as_numbers(values[self.text], self.text)
        operands = [as_numbers(values[column], column) for column in self.columns]
        return _calculate(_tree(self.text), operands)


def expression(text: str, where: str) -> Expression:
    """Read an expression.

    Parameters
    ----------
    text, where
        The value in the configuration, and its key.

    Raises
    ------
    InputError
        If it is no column, no text with columns in braces, and no sum of them.
    """
    try:
        pieces = list(string.Formatter().parse(text))
    except ValueError as error:
        raise _unreadable(text, where, str(error)) from None
    columns = tuple(column for _, column, *_ in pieces if column is not None)
    if not columns:
        return Expression(text, (text,), calculates=False)
    if "" in columns:
        raise _unreadable(text, where, "empty braces")
    literals = [literal for literal, *_ in pieces]
    if not any(re.search(r" [-+*/] ", literal) for literal in literals):
        return Expression(text, columns, calculates=False)
    try:
        _calculate(_tree(text), [np.ones(1)] * len(columns))
    except (SyntaxError, KeyError, TypeError, AttributeError) as error:
        raise _unreadable(text, where, f"no sum: {error}") from None
    return Expression(text, columns, calculates=True)


class Named:
    """The names of one table: where each comes from, and the rows under these names.

    Parameters
    ----------
    entry
        An item of ``cells`` or ``labels`` of the configuration.
    key, name
        Its key in the configuration, and the name of the file, for errors.
    header
        Of the file.
    place
        What the path of the table says: plate, well, stage, ``key=value`` of folders.
    plates
        Names of the screen's plates, which settle what a pattern leaves open.

    Attributes
    ----------
    names
        All names, in order: the pipeline's, and the user's own.
    texts, numbers
        Columns that are read as text, and as numbers.

    Raises
    ------
    InputError
        If columns are missing: all of them in one sentence.
    """

    def __init__(
        self,
        entry: dict,
        key: str,
        name: str,
        header: Header,
        place: Mapping,
        plates: Sequence[str],
    ) -> None:
        self.place = dict(place)
        at_hand = {*header.kinds, *place, ROW_NUMBER}
        self.named = {
            ours: expression(text, f"configuration key {key}.columns.{ours}")
            for ours, text in entry["columns"].items()
        }
        self.parsed = {
            column: Pattern(text, f"configuration key {key}.parse.{column}")
            for column, text in entry["parse"].items()
        }
        self.regex = {
            column: pattern.regex({"plate": list(plates)})
            for column, pattern in self.parsed.items()
        }
        wanted = {f"{key}.columns.{n}": e.columns for n, e in self.named.items()}
        wanted |= {f"{key}.parse.{column}": (column,) for column in self.parsed}
        _check_columns(wanted, at_hand, name, header)
        fields = [_names_of(pattern) for pattern in self.parsed.values()]
        for ours in KNOWN:
            said = ours in self.named or any(ours in names for names in fields)
            if not said and ours in at_hand:
                self.named[ours] = Expression(ours, (ours,), calculates=False)
        self.names = list(dict.fromkeys([*self.named, *(n for names in fields for n in names)]))
        self.counts_rows = ROW_NUMBER not in header.kinds
        self._sort_columns()

    @property
    def used(self) -> set[str]:
        """Columns of the table that some name needs."""
        return {*self.texts, *self.numbers}

    def _sort_columns(self) -> None:
        texts, numbers = list(self.parsed), []
        for name, one in self.named.items():
            is_number = one.calculates or name in (*POSITION, DOSE)
            (numbers if is_number else texts).extend(one.columns)
        known = {*self.place, *([ROW_NUMBER] if self.counts_rows else [])}
        self.numbers = [c for c in dict.fromkeys(numbers) if c not in known]
        self.texts = [c for c in dict.fromkeys(texts) if c not in known and c not in self.numbers]

    def rows(self, batch: pa.Table, first_row: int = 0) -> pa.Table:
        """Return the named columns of some rows: positions float32, all else text in one form.

        `first_row` is the number of the first one in its file.
        """
        values = {name: batch[name].combine_chunks() for name in batch.column_names}
        said = {key: pa.repeat(value, batch.num_rows) for key, value in self.place.items()}
        said[ROW_NUMBER] = pa.array(np.arange(first_row, first_row + batch.num_rows))
        values = said | values
        arrays: dict[str, pa.Array] = {}
        for column, regex in self.regex.items():
            arrays |= _fields(as_text(values[column]), regex, _names_of(self.parsed[column]))
        for name, one in self.named.items():
            if name in POSITION:
                arrays[name] = pa.array(one.numbers(values).astype(np.float32), from_pandas=True)
            elif name == DOSE:
                arrays[name] = _as_doses(one.numbers(values))
            else:
                arrays[name] = one.texts(values)
        return pa.table({name: one_form(name, arrays[name]) for name in self.names})


def one_form(name: str, values: pa.Array) -> pa.Array:
    """Return values in the one form that they are compared in: well A1 and a01, tile 12 and 12.0.

    Labels (guide, gene, role, stage), crops and names of cells keep their spelling, without spaces
    around them.
    """
    if name in (*POSITION, DOSE, "guide", "gene", "role", "stage", "crop", "cell_id"):
        return values
    if name == "well":
        return _by_value(values, well_name)
    if name == "plate":  # a name: 10.0 is a number as programs write it, 10.00 is none
        return pc.replace_substring_regex(values, r"^(-?\d+)\.0$", r"\1")
    return whole_numbers(values)


def whole_numbers(values: pa.Array) -> pa.Array:
    """Return text in which 12.0 is 12."""
    return pc.replace_substring_regex(values, r"^(-?\d+)\.0+$", r"\1")


def as_text(values: pa.Array) -> pa.Array:
    """Return values as text: whole numbers without a point, nothing (and NaN) as null."""
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if pa.types.is_floating(values.type) or pa.types.is_decimal(values.type):
        # Arrow has few functions of decimals and of 16 bits; float32 keeps its few digits.
        is_rare = pa.types.is_decimal(values.type) or pa.types.is_float16(values.type)
        floats = values.cast(pa.float64()) if is_rare else values
        floats = pc.if_else(pc.is_finite(floats), floats, None)
        whole = pc.fill_null(pc.and_(pc.equal(floats, pc.trunc(floats)),
                                     pc.less(pc.abs(floats), 2.0**53)), False)  # fmt: skip
        integers = pc.if_else(whole, floats, None).cast(pa.int64())
        return pc.coalesce(integers.cast(pa.string()), floats.cast(pa.string()))
    text = pc.utf8_trim_whitespace(values.cast(pa.string()))
    return pc.if_else(pc.is_in(text, pa.array(_NOTHING)), None, text)


def as_numbers(values: pa.Array, column: str) -> np.ndarray:
    """Return values as float64; text that is no number is an error."""
    try:
        if not pa.types.is_floating(values.type):
            text = as_text(values) if not pa.types.is_integer(values.type) else values
            values = text.cast(pa.float64(), safe=False)
        return values.cast(pa.float64()).to_numpy(zero_copy_only=False).astype(np.float64)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise InputError(
            where=f"column {column!r}",
            found=str(error).partition("\n")[0],
            expected="numbers",
            fix="name another column under cells.columns, or correct the table",
        ) from None


def _as_doses(numbers: np.ndarray) -> pa.Array:
    """Return doses as text of at most six digits, so that 0.1 of any type is one dose."""
    known, at = np.unique(numbers, return_inverse=True)
    texts = [
        np.format_float_positional(dose, 6, fractional=False, trim="-")
        if np.isfinite(dose)
        else None
        for dose in known
    ]
    return pa.array(texts, pa.string()).take(pa.array(at))


def _by_value(values: pa.Array, change: Callable[[str], str]) -> pa.Array:
    packed = values.dictionary_encode()
    words = [None if word is None else change(word) for word in packed.dictionary.to_pylist()]
    return pa.array(words, pa.string()).take(packed.indices)


def _fields(values: pa.Array, regex: re.Pattern, names: Sequence[str]) -> dict[str, pa.Array]:
    packed = values.dictionary_encode()
    rows = []
    for text in packed.dictionary.to_pylist():
        match = regex.fullmatch(text)
        found = match.groupdict() if match else {}
        rows.append(found | {"well": well_of(found)})
    table = pd.DataFrame(rows, columns=names, dtype=object)
    return {
        name: pa.array(table[name], pa.string(), from_pandas=True).take(packed.indices)
        for name in names
    }


def _names_of(pattern: Pattern) -> list[str]:
    """Return the names that a pattern says; row and column say the well."""
    well = ["well"] if {"row", "well"} & pattern.fields else []
    return [*well, *sorted(pattern.fields & set(KNOWN) - {"well"})]


def _tree(text: str) -> ast.expr:
    """Return the sum of an expression, its columns called c0, c1 ..."""
    pieces = string.Formatter().parse(text)
    numbered = "".join(
        literal + ("" if column is None else f"c{k}")
        for k, (literal, column, *_) in enumerate(pieces)
    )
    return ast.parse(numbered.strip(), mode="eval").body


def _calculate(node: ast.expr, operands: list[np.ndarray]) -> np.ndarray:
    match node:
        case ast.BinOp():
            left, right = _calculate(node.left, operands), _calculate(node.right, operands)
            with np.errstate(divide="ignore", invalid="ignore"):
                return _OPERATIONS[type(node.op)](left, right)
        case ast.UnaryOp(op=ast.USub()):
            return -_calculate(node.operand, operands)
        case ast.Constant(value=int() | float()):
            return node.value
        case ast.Name(id=str() as name) if name[:1] == "c" and name[1:].isdigit():
            return operands[int(name[1:])]
    raise TypeError("only + - * / of columns and numbers")


def _check_columns(
    wanted: Mapping[str, Sequence[str]], at_hand: set[str], name: str, header: Header
) -> None:
    missing = {c: key for key, columns in wanted.items() for c in columns if c not in at_hand}
    if not missing:
        return
    near = [n for c in missing for n in difflib.get_close_matches(c, at_hand, n=2, cutoff=0.5)]
    shown = list(dict.fromkeys([*near, *header.kinds]))[:8]
    keys = list(dict.fromkeys(missing.values()))
    raise InputError.missing(
        where=f"table {name}",
        what=f"column {', '.join(map(repr, missing))}",
        why=f"{', '.join(keys)} names it, and the columns are {', '.join(shown)}"
        + (" ..." if len(header.kinds) > len(shown) else ""),
        fix=f"correct {keys[0]} or replace the table",
    )


def _unreadable(text: str, where: str, found: str) -> InputError:
    return InputError(
        where=where,
        found=f"{text!r} ({found})",
        expected='the name of a column, text such as "{row}{column}", or "{a} + {b}"',
        fix="correct it",
    )
