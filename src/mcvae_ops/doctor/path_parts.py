"""The parts of paths of one shape: where all can be cut alike.

They are cut at slashes, ``_``, ``-``, spaces, points, and where letters meet digits, as long as all
have these equally often.
"""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from string import ascii_letters

from mcvae_ops.doctor.stains import stain_of

ANY = "\0"  # stands for a UUID
_UUID = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_SEPARATORS = ("/", "__", "_", "-", " ", ".")
_WELL = re.compile(r"[A-Pa-p](?:0?[1-9]|1\d|2[0-4])|(?i:well)_?\d{1,2}")
_NUMBERED = re.compile(r"r\d\dc\d\d|(?i:(?:^|[_-])(?:site|tile|fov|field|s)[_-]?\d+)")
_HINTS = {
    "row": r"r|row",
    "column": r"c|col|column",
    "tile": r"s|f|site|field|fov|tile|pos|position|xy|fld|point|scene",
    "channel": r"w|c|d|ch|channel|wv|wave|wavelength|corr",
    "plane": r"z|p|sk|plane|slice",
    "time": r"t|tp|time|fk",
}


@dataclass
class Leaf:
    """A part of the paths that is not cut further.

    Attributes
    ----------
    values
        Of each path.
    hint
        The letters right before it, in small letters.
    in_folder
        Whether it stands in the name of a folder.
    role
        What it says; None for literal text.
    """

    values: list[str]
    hint: str
    in_folder: bool
    role: str | None = None
    distinct: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.distinct = set(self.values)

    @property
    def is_constant(self) -> bool:
        """Whether all paths have the same there."""
        return len(self.distinct) == 1

    @property
    def is_number(self) -> bool:
        """Whether it is digits in all paths."""
        return all(map(str.isdigit, self.distinct))

    @property
    def is_well(self) -> bool:
        """Whether it names a well in all paths."""
        return _are_wells(self.distinct)

    @property
    def is_stain(self) -> bool:
        """Whether it names a stain or a colour in all paths."""
        return all(stain_of(value) is not None for value in self.distinct)

    @property
    def hinted(self) -> str | None:
        """The role that the letters before it name, the first of several; None of other letters."""
        return next((role for role in _HINTS if self.is_hinted(role)), None)

    def is_hinted(self, role: str) -> bool:
        """Say whether the letters before it may name a role."""
        return re.fullmatch(_HINTS[role], self.hint) is not None


def leaves_of(paths: Sequence[str]) -> list[Leaf]:
    """Return the parts of some paths, in their order; a UUID is `ANY`."""
    return list(_leaves([_UUID.sub(ANY, path) for path in paths]))


def common_prefix(texts: Collection[str]) -> str:
    """Return the text with which all texts begin."""
    first, last = min(texts), max(texts)
    n = next((k for k, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))
    return first[:n]


def word_prefix(values: Collection[str]) -> str:
    """Return the letters that begin the names of all channels, as Corr does CorrDNA."""
    start = common_prefix(values)
    is_word = len(start) >= 3 and start.isalpha()
    return start if is_word and all(v[len(start) :][:1].isupper() for v in values) else ""


def _leaves(
    texts: list[str], hint: str = "", in_folder: bool = True, first: int = 0
) -> Iterator[Leaf]:
    """Yield the parts of some texts, cut at the first separator that all have equally often."""
    distinct = set(texts)
    is_constant = len(distinct) == 1 and not _parts_of_one(texts[0])
    if is_constant or _are_wells(distinct):
        yield Leaf(texts, hint, in_folder)
        return
    for number, separator in enumerate(_SEPARATORS[first:], first):
        counts = {text.count(separator) for text in distinct}
        if len(counts) == 1 and counts != {0}:
            yield from _cut_at(number, texts, hint, in_folder)
            return
    yield from _cut_at_digits(texts, hint, in_folder)


def _cut_at(number: int, texts: list[str], hint: str, in_folder: bool) -> Iterator[Leaf]:
    """Cut texts at a separator, and what is between further, at those after it."""
    separator = _SEPARATORS[number]
    *columns, last = zip(*(text.split(separator) for text in texts), strict=True)
    for column in columns:
        part = list(column)
        if separator == "/" and in_folder:
            yield from _folder(part)
        else:
            yield from _leaves(part, hint, in_folder, number + 1)
        hint = _letters_at_end(part) if separator != "/" else ""
        yield Leaf([separator] * len(texts), "", in_folder)
    yield from _leaves(list(last), hint, in_folder and separator != "/", number + 1)


def _cut_at_digits(texts: list[str], hint: str, in_folder: bool) -> Iterator[Leaf]:
    """Cut texts where letters meet digits, if all have these in the same order."""
    runs = {text: re.findall(rf"\d+|{ANY}|[^\d{ANY}]+", text) for text in set(texts)}
    kinds = {tuple(run[:1].isdigit() for run in parts) for parts in runs.values()}
    if len(kinds) > 1 or len(kinds.pop()) < 2:
        yield Leaf(texts, hint, in_folder)
        return
    for column in zip(*(runs[text] for text in texts), strict=True):
        yield Leaf(list(column), hint, in_folder)
        hint = _letters_at_end(column)


def _folder(part: list[str]) -> list[Leaf]:
    """Return the parts of the names of folders, which are mostly names of plates as a whole."""
    whole = Leaf(part, "", True)
    if not whole.is_constant:
        if all("__" in value for value in whole.distinct):
            names, stamps = zip(*(value.split("__", 1) for value in part), strict=True)
            return [Leaf(list(names), "", True), Leaf(["__"] * len(part), "", True),
                    Leaf(list(stamps), "", True)]  # fmt: skip
        if whole.is_stain or whole.is_well:
            return [whole]
    inner = list(_leaves(part, "", True, 1))
    roles = ("row", "column", "tile", "channel")
    if any(leaf.is_well or (leaf.hinted in roles and not leaf.is_constant) for leaf in inner):
        return inner
    prefix = word_prefix(whole.distinct)
    if not whole.is_constant and all(stain_of(v[len(prefix) :]) for v in whole.distinct):
        return [Leaf([prefix] * len(part), "", True),
                Leaf([v[len(prefix) :] for v in part], prefix.lower(), True)]  # fmt: skip
    return [whole]


def _parts_of_one(text: str) -> bool:
    """Say whether a text that all paths share names a well, a row and a column, or a tile."""
    steps = re.split(r"[/_. -]", text)
    return any(map(_WELL.fullmatch, steps)) or _NUMBERED.search(text) is not None


def _are_wells(values: Collection[str]) -> bool:
    """Say whether all values are names of wells."""
    return all(map(_WELL.fullmatch, values))


def _letters_at_end(values: Sequence[str]) -> str:
    """Return the letters with which all values end, in small letters."""
    ends = {value[len(value.rstrip(ascii_letters)) :].lower() for value in set(values)}
    return ends.pop() if len(ends) == 1 else ""
