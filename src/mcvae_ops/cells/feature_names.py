"""Which columns of a table are features of cells: numbers, but no bookkeeping.

The names of CellProfiler, cytominer, CytoTable and pandas are told as they stand; those of other
programs (scikit-image, ImageJ, QuPath, ilastik, Harmony, MCMICRO, TrackMate) and of tables that
laboratories write themselves are told by their words.
"""

import difflib
import logging
import re
from collections.abc import Collection, Mapping, Sequence

from mcvae_ops.archive.table_header import Header
from mcvae_ops.embeddings.spaces import SpaceNames
from mcvae_ops.errors import InputError, some_of
from mcvae_ops.screen import is_like

logger = logging.getLogger(__name__)

# Reason: the names, as regular expressions of whole names. The first reason that fits is given.
# pandas writes an index without a name, which is "" or "Unnamed: 0" later, and "...1" or X in R.
BOOKKEEPING = {
    "index of the table": r"|__index_level_\d+__|Unnamed: ?\d+(?:\.\d+|_level_\d+)*|\.\.\.\d+"
    r"|index|level_\d+|rn",
    "metadata": r"(?:.*_)?Metadata_.*",
    "of the image": r"(?:Image|ImageQuality|ModuleError)_.*|Group_(?:Index|Length|Number)"
    r"|Count_(?:Cells|Nuclei|Cytoplasm)|Ch",
    "name of a file": r"(?:.*_)?(?:FileName|PathName|URL|MD5Digest)_.*|(?:.*_)?(?:file|path|url)"
    r"(?:_?name)?",
    "time": r"(?:.*_)?(?:ExecutionTime|AbsTime)(?:_.*)?",
    "identifier": r".*Object_?Number(?:_.*)?|(?:.*_)?Parent_.*"
    r"|(?:.*_)?Children_(?:Cells|Nuclei|Cytoplasm)_Count|.*_TrackObjects_.*",
    "position": r"(?:.*_)?Location_.*|[BF]?[XY]|[XY]M|Feret[XY]",
}

_AXIS = r"(?:[ijxyz]|row|col|column)"
_PLACE = (
    r"(?:centroids?|cent(?:er|re)s?|positions?|pos|coord(?:inate)?s?|location|bbox|bounding|bounds?"
    r"|box|min|max|minimum|maximum|start|end|weighted|local|mass|of|the)"
)
_OF = (
    r"(?:cells?|nucleus|nuclei|cytoplasm|cytosol|objects?|skeleton|image|tile|well|site|field|fov"
    r"|stage|global|abs|absolute|spatial)"
)
_COUNTED = (
    r"(?:object|cell|nucleus|image|tile|well|plate|site|field|fov|row|col|column|frame|slice|plane"
    r"|track|table|batch|replicate|passage|particle|instance)"
)
_NUMBERED = r"(?:no|nr|num|number|idx|index)"
# The same, as regular expressions of the words of a name; see `_words`.
WORDS = {
    "index of the table": rf"row ?(?:names?|{_NUMBERED})",
    "time": r"(?:.* )?(?:timestamp|date(?: ?time)?)"
    r"|(?:(?:acq|acquisition|abs|absolute|relative|elapsed|exposure|measurement|image|start|end"
    r"|focal|z) )*(?:time(?: ?(?:point|stamp|step))?|frame|slice|plane)(?: \d+)?",
    # A plural, as in nuclei_number, is counted.
    "identifier": r"(?:.* )?(?:[ug]?u?id|oid|label|barcode|sg ?rna|guide|sequence)(?: \d+)?"
    rf"|.* barcode .*|(?:.* )?{_COUNTED} ?(?:id|{_NUMBERED})(?: \d+| in .*)?"
    r"|(?:cells|nuclei|objects) (?:idx|index)|object|cell|nucleus|instance|particle|track",
    "plate, well or tile": r"plate(?: ?name)?|well(?: ?(?:row|col|column|name))?|row|col|column"
    r"|tile|site|field|fov|batch|replicate|passage|fov distance(?: \d)?",
    "position":
    # x, cell_y_px, X_centroid, row_centroid, well_x, x_stage, max_col, Position X, coord_y ...
    rf"(?:(?:{_OF}|{_PLACE}) )*{_AXIS}(?: (?:{_OF}|{_PLACE}|\d))*"
    # ... of whatever they are the position: centroid_weighted-0-1, Nucleus: Centroid X, bbox_x0
    rf"|(?:.* )?(?:centroid|bbox|bounding box|bounds)(?: (?:{_OF}|{_PLACE}))*"
    rf"(?: (?:{_AXIS}\d?|\d|left|right|top|bottom|[xyz]m(?:in|ax)))+"
    rf"|(?:.* )?(?:position|pos|center|centre|coord|coordinate)(?: {_PLACE})* (?:{_AXIS}|t)"
    rf"|(?:{_OF} )*(?:center|centre)(?: (?:{_OF}|{_PLACE}))* \d"
    rf"|(?:{_OF} )*(?:bbox|bounds|bounding box)|(?:.* )?(?:bbox\d|centroid[\dxyz])"
    r"|(?:[xyz]m(?:in|ax)|m(?:in|ax)[xyzrc]|[xy]c|cell [01]|nucleus [01])",
}
EMPTY = "without a value"
_PATTERNS = {reason: re.compile(names) for reason, names in BOOKKEEPING.items()}
_WORDS = {reason: re.compile(words) for reason, words in WORDS.items()}
# What CellProfiler says of each image, beside the name of its file.
_OF_IMAGE = re.compile(r"(?:Channel|Series|Frame|Height|Width|Scaling)_(.+)")
_NEW_WORD = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|[\W_]+")
_UNIT = r"(?:[µμu]m|nm|px|pixels?|microns?|m?s|sec|seconds)"
_LAST_UNIT = re.compile(rf"(?<=.) {_UNIT}$")


def _words(name: str) -> str:
    """Return a name as words in lower case, without signs and unit: ``CellID`` is ``cell id``."""
    words = " ".join(filter(None, _NEW_WORD.split(name))).lower()
    return _LAST_UNIT.sub("", words)


def reason_against(name: str, kind: str) -> str | None:
    """Return why a column is no feature by its name and kind; None if it may be one."""
    for patterns, form in ((_PATTERNS, name), (_WORDS, _words(name))):
        for reason, pattern in patterns.items():
            if pattern.fullmatch(form):
                return reason
    return _reason_of_kind(kind)


def _reason_of_kind(kind: str) -> str | None:
    return {"number": None, "empty": EMPTY, "other": "neither number nor text"}.get(kind, kind)


def sort_columns(
    header: Header,
    used: Collection[str],
    features: Sequence[str],
    not_features: Sequence[str],
    spaces: Mapping[str, Mapping] | None = None,
) -> dict[str, str | None]:
    """Say of every column whether it is a feature.

    Parameters
    ----------
    header
        Of the table.
    used
        Columns that say plate, well, position, label, or join tables.
    features, not_features
        Patterns of the configuration. A column of numbers that ``features`` names outright is a
        feature whatever its name means elsewhere.
    spaces
        Spaces of each embedding that others made: what they name is a feature, whatever its name.

    Returns
    -------
    By column, in the order of the table: None for a feature, otherwise the reason against it.

    Raises
    ------
    InputError
        If ``screen.features`` names columns outright that cannot be features, or a space columns
        that are no numbers: all of them at once.
    """
    named = {model: SpaceNames(of_model) for model, of_model in (spaces or {}).items()}
    reasons = {}
    for name, kind in header.kinds.items():
        if name in used:
            reason = "named under columns"
        elif is_like(name, not_features):
            reason = "screen.not_features"
        elif any(name in names for names in named.values()):
            reason = _reason_of_kind(kind)
        elif name in features and kind == "number":
            reason = None
        else:
            reason = header.no_features.get(name) or _reason_within(header, name, kind)
            if reason is None and not is_like(name, features):
                reason = "not in screen.features"
        reasons[name] = reason
    if spaces is None:
        _check_named(features, reasons)
    for model, names in named.items():
        _check_spaces(model, names, reasons)
    return reasons


def _check_named(features: Sequence[str], reasons: Mapping[str, str | None]) -> None:
    if wrong := [f"{name} ({reasons[name]})" for name in features if reasons.get(name)]:
        raise InputError(
            where="configuration key screen.features",
            found=f"columns that cannot be features: {', '.join(wrong)}",
            expected="columns of numbers that are measured of each cell",
            fix="leave them out",
        )


def _check_spaces(model: str, names: SpaceNames, reasons: Mapping[str, str | None]) -> None:
    """Refuse columns that a space names and that are not taken: a vector would lack them.

    A pattern may also fit columns that the configuration uses otherwise.
    """
    elsewhere = ("named under columns", "screen.not_features")
    wrong = [
        f"{name} ({reason})"
        for name, reason in reasons.items()
        if reason and name in names and (name in names.outright or reason not in elsewhere)
    ]
    if wrong:
        raise InputError(
            where=f"configuration key embeddings.{model}.spaces",
            found=f"columns that cannot be taken: {some_of(wrong, 8)}",
            expected="columns of numbers",
            fix="correct the spaces, or name the columns in screen.not_features",
        )


def check_named_exist(tables: Sequence[dict[str, str | None]], screen: dict) -> None:
    """Raise an `InputError` if ``screen.features`` names columns outright that no table has.

    Parameters
    ----------
    tables
        What `sort_columns` says of the columns of each table.
    screen
        features of the configuration; with spaces, which are checked elsewhere, they are no choice
        of the user.
    """
    columns = _columns_of(tables)
    if missing := [n for n in _chosen(screen) if "*" not in n and n not in columns]:
        near = [n for name in missing for n in difflib.get_close_matches(name, columns, n=2)]
        shown = list(dict.fromkeys([*near, *columns]))[:8]
        raise InputError.missing(
            where="the tables of cells",
            what=f"column {', '.join(map(repr, missing))}",
            why=f"screen.features names it, and the columns are {', '.join(shown)}"
            + (" ..." if len(columns) > len(shown) else ""),
            fix="correct screen.features",
        )


def say_unused_patterns(tables: Sequence[dict[str, str | None]], screen: dict) -> None:
    """Say which patterns of features and not_features choose nothing; see `check_named_exist`."""
    columns, features = _columns_of(tables), _chosen(screen)
    for key, patterns in (("features", features), ("not_features", screen["not_features"])):
        for pattern in patterns:
            if not any(is_like(name, [pattern]) for name in columns):
                logger.warning("screen.%s: no column is like %r", key, pattern)
    for pattern in features:
        against = [(name, reason) for reasons in tables for name, reason in reasons.items()
                   if is_like(name, [pattern])]  # fmt: skip
        if pattern != "*" and against and all(reason for _, reason in against):
            shown = ", ".join(f"{name} ({reason})" for name, reason in against[:5])
            logger.warning(
                "screen.features: %r chooses no feature, of %d columns: %s; a column of numbers "
                "that is named outright is one", pattern, len(against), shown,
            )  # fmt: skip


def _columns_of(tables: Sequence[dict[str, str | None]]) -> list[str]:
    return list(dict.fromkeys(name for reasons in tables for name in reasons))


def _chosen(screen: dict) -> list[str]:
    return [] if screen.get("spaces") else screen["features"]


def _reason_within(header: Header, name: str, kind: str) -> str | None:
    """Return why a column is no feature, by its name among the others."""
    match = _OF_IMAGE.fullmatch(name)
    if match and {f"FileName_{match[1]}", f"URL_{match[1]}"} & header.kinds.keys():
        return "of the image"
    reason = reason_against(name, kind)
    # Numbers that go beyond the corners of a box are dimensions: z_0 to z_31.
    is_dimension = name[-1:].isdigit() and f"{name[:-1]}4" in header.kinds
    return None if reason == "position" and kind == "number" and is_dimension else reason
