"""The pattern of some paths: which parts of their names vary, and what these parts say.

Paths of one shape (as many folders, as many ``_`` in the name) are cut at the same places: at
slashes, ``_``, ``-``, spaces, points, and where letters meet digits. A part that varies is a plate,
well, tile or channel by its values (``B02``, ``DAPI``), by the letters before it (``s``, ``ch``,
``Site``), or because nothing else is left for it; what another part already says is ``{*}``.
"""

import random
import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from string import ascii_letters

from mcvae_ops.archive.patterns import MOST_WIDTH, Pattern, row_letters, well_name, well_of

STAINS = {
    "DNA": r"dapi|hoechst|dna|draq5?|nuc(lei|leus)?|h2b|405|cascade ?blue",
    "ER": r"er|cona|concanavalin.*",
    "RNA": r"rna|syto ?\d*",
    "AGP": r"agp",
    "mitochondria": r"mito.*|tmrm",
    "actin": r"actin|phalloidin.*|af750",
    "tubulin": r".*tubulin",
    "Golgi, membrane": r"wga",
    "gamma-H2AX": r".*h2ax|a594",
    "": r"gfp|rfp|[myc]?cherry|cy[357]|fitc|tritc|texas ?red|a(f|lexa)?\d{3}|bf|brightfield|phase"
    r"|488|561|568|594|640|647|750|[a-z]fp|marker",
}
"""What a name of a channel means, as expressions in small letters; "" is a colour alone."""

_SEPARATORS = ("/", "__", "_", "-", " ", ".")
_UUID = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_ANY = "\0"  # stands for a UUID
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
_MASK = re.compile("mask|label|segment|outline|thumb")
_OTHER_USE = re.compile("cycle|sbs|genotyp|barcod|10x|illum|montage")
_MOST_CHANNELS, _MOST_NAMED_CHANNELS = 12, 200
_SAMPLE, _SAMPLE_CHARACTERS = 5_000, 1_000_000


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


@dataclass(frozen=True)
class PathGuess:
    """A pattern and what its fields read.

    Attributes
    ----------
    text
        The pattern; see `mcvae_ops.archive.patterns`.
    n_files, size_bytes
        Of the paths that it reads.
    fields
        Values that each field reads, in the order of their frequency.
    places
        (plate, well, tile, channel) of each path; "" where the pattern lacks the field.
    questions
        What the paths leave open.
    """

    text: str
    n_files: int
    size_bytes: int
    fields: dict[str, list[str]]
    places: list[tuple[str, str, str, str]]
    questions: list[str]


def shapes(entries: Sequence[tuple[str, int]]) -> Iterator[list[tuple[str, int]]]:
    """Yield the (path, size) of each shape, those first that look most like images of cells."""
    groups: dict[tuple, list] = {}
    for path, size in entries:
        folder, _, name = path.rpartition("/")
        shape = (
            folder.count("/"),
            name.count("_"),
            is_mask(path),
            _has(_OTHER_USE, folder) or _has(_OTHER_USE, name),
            _suffix(path).lower()[:4],
            _drawn(path),
        )
        groups.setdefault(shape, []).append((path, size))

    def rank(shape: tuple) -> tuple:
        n_bytes = sum(max(size, 0) for _, size in groups[shape])
        return shape[2], shape[3], shape[5] != "nuc", -n_bytes

    for shape in sorted(groups, key=rank):
        yield groups[shape]


def _drawn(path: str) -> str | None:
    """Return what masks are drawn of: nuclei (nuc), cells or cytoplasm (cel, cyt)."""
    drawn = re.search("nuc|cel|cyt", path.rpartition("/")[2].lower()) if is_mask(path) else None
    return drawn and drawn.group()


def is_mask(path: str) -> bool:
    """Say whether a path names masks of cells, or another drawing made of images."""
    folder, _, name = path.rpartition("/")
    return _has(_MASK, folder) or _has(_MASK, name)


@lru_cache(1024)
def _has(words: re.Pattern, text: str) -> bool:
    return words.search(text.lower()) is not None


def guess_pattern(entries: Sequence[tuple[str, int]]) -> PathGuess:
    """Guess the pattern of paths of one shape.

    Parameters
    ----------
    entries
        (path, size in bytes); of many, a sample is looked at, and all are read by the pattern.
    """
    longest = max(len(path) for path, _ in entries)
    n = max(1, min(_SAMPLE, _SAMPLE_CHARACTERS // longest, len(entries)))
    some = random.Random(0).sample(entries, n)
    suffixes = Counter(_suffix(path) for path, _ in entries)
    usual = suffixes.most_common(1)[0][0]
    texts = [_UUID.sub(_ANY, path[: len(path) - len(_suffix(path))] + usual) for path, _ in some]
    leaves = list(_leaves(texts))
    _assign(leaves)
    _say_once(leaves)
    text = _text(leaves)
    regex, rows, n_bytes = Pattern(text).regex(), [], 0
    counts: dict[str, Counter] = {}
    for path, size in entries:
        if match := regex.fullmatch(path):
            found = match.groupdict()
            if (well := well_of(found)) is not None:
                found["well"] = well if "row" in found else found["well"]
            for name in ("plate", "well", "tile", "channel"):
                if name in found:
                    counts.setdefault(name, Counter())[found[name]] += 1
            rows.append(tuple(found.get(n, "") for n in ("plate", "well", "tile", "channel")))
            n_bytes += max(size, 0)
    fields = {name: [value for value, _ in values.most_common()] for name, values in counts.items()}
    return PathGuess(text, len(rows), n_bytes, fields, rows, _questions(leaves, rows))


def stain_of(name: str) -> str | None:
    """Return what a channel shows by its name: "" of a mere colour, None of any other word."""
    for stain, names in STAINS.items():
        if re.fullmatch(names, name.lower().replace("-", "").replace("_", "")):
            return stain
    return None


def _leaves(texts: list[str], hint: str = "", in_folder: bool = True, first: int = 0):
    """Yield the parts of some texts, cut at the first separator that all have equally often."""
    distinct = set(texts)
    if len(distinct) == 1 and not _parts_of_one(texts[0]):
        yield Leaf(texts, hint, in_folder)
        return
    if _are_wells(distinct):
        yield Leaf(texts, hint, in_folder)
        return
    for number, separator in enumerate(_SEPARATORS[first:], first):
        counts = {text.count(separator) for text in distinct}
        if len(counts) != 1 or not (n := counts.pop()):
            continue
        columns = zip(*(text.split(separator) for text in texts), strict=True)
        before = hint
        for k, column in enumerate(columns):
            is_folder = in_folder and not (separator == "/" and k == n)
            part = list(column)
            if separator == "/" and is_folder:
                inner = _folder(part)
            else:
                inner = _leaves(part, before, is_folder, number + 1)
            yield from inner
            before = _letters_at_end(part) if separator != "/" else ""
            if k < n:
                yield Leaf([separator] * len(texts), "", is_folder)
        return
    runs = {text: re.findall(rf"\d+|{_ANY}|[^\d{_ANY}]+", text) for text in distinct}
    kinds = {tuple(run[:1].isdigit() for run in parts) for parts in runs.values()}
    if len(kinds) == 1 and len(next(iter(kinds))) > 1:
        before = hint
        for column in zip(*(runs[text] for text in texts), strict=True):
            yield Leaf(list(column), before, in_folder)
            before = _letters_at_end(column)
        return
    yield Leaf(texts, hint, in_folder)


def _folder(part: list[str]) -> list[Leaf]:
    """Return the parts of the names of folders, which are mostly names of plates as a whole."""
    whole = Leaf(part, "", True)
    if all("__" in value for value in whole.distinct) and len(whole.distinct) > 1:
        names, stamps = zip(*(value.split("__", 1) for value in part), strict=True)
        return [Leaf(list(names), "", True), Leaf(["__"] * len(part), "", True),
                Leaf(list(stamps), "", True)]  # fmt: skip
    inner = list(_leaves(part, "", True, 1))
    says = [leaf for leaf in inner if _are_wells(leaf.distinct) or _hinted(leaf) in
            ("row", "column", "tile", "channel")]  # fmt: skip
    is_stain = len(whole.distinct) > 1 and all(stain_of(v) is not None for v in whole.distinct)
    if len(whole.distinct) > 1 and (is_stain or _are_wells(whole.distinct)):
        return [whole]
    if any(len(leaf.distinct) > 1 or _are_wells(leaf.distinct) for leaf in says):
        return inner
    prefix = _common_prefix(whole.distinct)
    if len(whole.distinct) > 1 and all(stain_of(v[len(prefix) :]) for v in whole.distinct):
        return [Leaf([prefix] * len(part), "", True),
                Leaf([v[len(prefix) :] for v in part], prefix.lower(), True)]  # fmt: skip
    return [whole]


def _parts_of_one(text: str) -> bool:
    """Say whether a text that all paths share names a well, a row and a column, or a tile."""
    steps = re.split(r"[/_. -]", text)
    return any(map(_WELL.fullmatch, steps)) or _NUMBERED.search(text) is not None


def _are_wells(values: set[str]) -> bool:
    return all(map(_WELL.fullmatch, values))


def _letters_at_end(values: Sequence[str]) -> str:
    """Return the letters with which all values end, in small letters."""
    ends = {value[len(value.rstrip(ascii_letters)) :].lower() for value in set(values)}
    return ends.pop() if len(ends) == 1 else ""


def _hinted(leaf: Leaf) -> str | None:
    for role, words in _HINTS.items():
        if re.fullmatch(words, leaf.hint):
            return role
    return None


def _assign(leaves: list[Leaf]) -> None:
    """Give every part its role; equal parts have one."""
    free = [leaf for leaf in leaves if len(leaf.distinct) > 1]
    for leaf in leaves:
        if leaf.distinct == {_ANY}:
            leaf.role = "*"
    _assign_wells(leaves)
    taken = {leaf.role for leaf in leaves if leaf.role}
    free = [leaf for leaf in free if leaf.role is None]

    def take(role: str, leaf: Leaf) -> None:
        for other in leaves:
            if other.role is None and other.values == leaf.values:
                other.role = role
                if other in free:
                    free.remove(other)
        taken.add(role)

    digits = [leaf for leaf in free if all(map(str.isdigit, leaf.distinct))]
    few = [leaf for leaf in free if len(leaf.distinct) <= _MOST_NAMED_CHANNELS]
    for leaf in list(few):
        if leaf.role is None and all(stain_of(v) is not None for v in leaf.distinct):
            take("channel", leaf)
    for role, among in (("channel", few), ("tile", digits), ("plane", digits), ("time", digits)):
        for leaf in list(among):
            hinted = re.fullmatch(_HINTS[role], leaf.hint)
            if leaf.role is None and role not in taken and hinted:
                take(role, leaf)
    for leaf in leaves:  # a screen of one tile
        is_number = leaf.role is None and leaf.values[0].isdigit() and len(leaf.distinct) == 1
        if "tile" not in taken and is_number and _hinted(leaf) == "tile" and not leaf.in_folder:
            leaf.role = "tile"
            taken.add("tile")
    for leaf in [one for one in free if one.role is None and one.in_folder]:
        if "plate" not in taken and not (leaf in digits and "tile" not in taken):
            take("plate", leaf)
    for role in ("channel", "tile"):  # what the channel says again is no tile
        channel = next((leaf for leaf in leaves if leaf.role == "channel"), None)
        for leaf in list(free):
            if channel is not None and _says(channel, leaf):
                leaf.role = "*"
                free.remove(leaf)
        for leaf in sorted(free, key=lambda one: one in digits, reverse=role == "tile"):
            fits = leaf in digits if role == "tile" else len(leaf.distinct) <= _MOST_CHANNELS
            if leaf.role is None and role not in taken and fits:
                if role == "channel" and leaf in digits:
                    continue
                take(role, leaf)
    for leaf in list(free):
        if leaf.role is not None:
            continue
        if "plate" not in taken and leaf not in digits:
            take("plate", leaf)
        else:
            leaf.role = "*"
    for leaf in leaves:
        if leaf.role in ("plane", "time"):
            leaf.role = f"?{leaf.role}"


def _assign_wells(leaves: list[Leaf]) -> None:
    """Find the well: ``r01c02``, else the part with the most names of wells, else ``A/2``."""
    short = [leaf for leaf in leaves if re.fullmatch(r"\d{1,2}|[A-P]", leaf.values[0])]
    for row, column in pairwise(short):
        if (_hinted(row), _hinted(column)) == ("row", "column"):
            row.role, column.role = "row", "column"
            return
    wells = [leaf for leaf in leaves if _are_wells(leaf.distinct)]
    if wells:
        # C1, C2, C3 are channels where something else may be the well.
        best = max(wells, key=lambda leaf: (not all(v[0] in "Cc" for v in leaf.distinct),
                                            len(leaf.distinct), not leaf.in_folder))  # fmt: skip
        for leaf in leaves:
            if leaf.values == best.values:
                leaf.role = "well"
        return
    for row, column in pairwise(short):
        is_letter = all(re.fullmatch("[A-P]", v) for v in row.distinct)
        if is_letter and all(map(str.isdigit, column.distinct)):
            row.role, column.role = "row", "column"
            return


def _says(one: Leaf, other: Leaf) -> bool:
    """Say whether a part is known once another one is."""
    return len(set(zip(one.values, other.values, strict=True))) == len(one.distinct)


def _say_once(leaves: list[Leaf]) -> None:
    """Let a part that says once more what stands before a part of any text mean nothing.

    A pattern that compares the two would take a power of the length of a path that it cannot read.
    """
    seen, compared = set(), set()
    for leaf in leaves:
        if leaf.role is None or leaf.role in compared:
            continue
        if leaf.role in seen:
            leaf.role = "*"
        if leaf.role not in ("well", "row", "column", "tile"):  # these are short
            compared = set()
        if leaf.role.lstrip("?") not in ("*", "plane", "time"):
            compared.add(leaf.role)
        seen.add(leaf.role)


def _text(leaves: list[Leaf]) -> str:
    parts = []
    for k, leaf in enumerate(leaves):
        if leaf.role is None:
            if len(leaf.distinct) == 1:
                parts.append(leaf.values[0].replace("{", "{{").replace("}", "}}"))
            continue
        if leaf.role.lstrip("?") in ("*", "plane", "time"):
            parts.append("{*}" * (not parts or parts[-1] != "{*}"))
            continue
        lengths = {len(value) for value in leaf.distinct}
        after = leaves[k + 1] if k + 1 < len(leaves) else None
        is_open = after is not None and after.role == "*"
        padded = (leaf.role in ("row", "column", "tile") and max(lengths) > 1
                  and any(value.startswith("0") for value in leaf.distinct))  # fmt: skip
        is_fixed = len(lengths) == 1 and max(lengths) <= MOST_WIDTH and (padded or is_open)
        width = f":{lengths.pop()}" if is_fixed else ""
        prefix = _common_prefix(leaf.distinct) if leaf.role == "channel" and not width else ""
        parts.append(f"{prefix}{{{leaf.role}{width}}}")
    return "".join(parts)


def _common_prefix(values: set[str]) -> str:
    """Return the letters that begin the names of all channels, as Corr does CorrDNA."""
    start = common_prefix(values)
    is_word = len(start) >= 3 and start.isalpha()
    return start if is_word and all(v[len(start) :][:1].isupper() for v in values) else ""


def common_prefix(texts: Collection[str]) -> str:
    """Return the text with which all texts begin."""
    first, last = min(texts), max(texts)
    n = next((k for k, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))
    return first[:n]


def _questions(leaves: list[Leaf], rows: list[tuple]) -> list[str]:
    questions = [
        f"The number of the {leaf.role[1:]} stands in the names "
        f"({', '.join(sorted(leaf.distinct)[:4])} ...), and a file of its own for each "
        "cannot be read: make stacks of them, or name one in screen.images."
        for leaf in leaves
        if (leaf.role or "").startswith("?")
    ]
    if twice := len(rows) - len(set(rows)):
        questions.append(f"{twice} of {len(rows)} files have the place of another file.")
    return questions


def _suffix(path: str) -> str:
    name = path.rpartition("/")[2]
    return name[name.rfind(".") :] if "." in name else ""


def wells_as_text(wells: Sequence[str]) -> str | list[str]:
    """Return wells as a rectangle where they fill one, otherwise as a list in order."""
    named = {well_name(well): well for well in wells}
    order = sorted(named, key=lambda name: (len(re.match(r"[A-Z]*", name)[0]), name))
    plain = [re.fullmatch(r"([A-Z]{1,2})(\d\d+)", name) for name in order]
    if len(order) > 1 and all(plain):
        rows = sorted({match[1] for match in plain}, key=lambda row: (len(row), row))
        columns = sorted({int(match[2]) for match in plain})
        is_dense = columns[-1] - columns[0] == len(columns) - 1
        first = ord(rows[0][-1]) - 64
        follows = rows == [row_letters(first + k) for k in range(len(rows))]
        if is_dense and follows and len(order) == len(rows) * len(columns):
            width = len(re.search(r"\d+", named[order[0]]).group())
            return f"{rows[0]}{columns[0]:0{width}d}-{rows[-1]}{columns[-1]:0{width}d}"
    return [named[name] for name in order]


def numbers_as_text(numbers: Sequence[int]) -> str:
    """Return numbers of tiles as ranges: 0, 1, 2, 7 is ``0-2, 7``."""
    ranges: list[list[int]] = []
    for number in sorted(set(numbers)):
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    return ", ".join(f"{a}-{b}" if b > a else str(a) for a, b in ranges)
