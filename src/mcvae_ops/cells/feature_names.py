"""Which columns of a table are features of cells: numbers, but no bookkeeping.

The names are those of CellProfiler, cytominer, CytoTable, scikit-image and pandas, and the usual
ones of tables that laboratories write themselves.
"""

import re
from collections.abc import Collection, Mapping, Sequence

from mcvae_ops.archive.table_formats import Header
from mcvae_ops.embeddings.spaces import SpaceNames
from mcvae_ops.errors import InputError
from mcvae_ops.screen import is_like

# Reason: the names, as regular expressions of whole names. The first reason that fits is given.
BOOKKEEPING = {
    "index of the table": r"__index_level_\d+__|Unnamed: ?\d+|index|level_\d+",
    "metadata": r"(?:.*_)?Metadata_.*",
    "of the image": r"(?:Image|ImageQuality|ModuleError|Channel|Group|Series|Frame|Height|Width"
    r"|Scaling)_.*|Count_(?:Cells|Nuclei|Cytoplasm)",
    "name of a file": r"(?:.*_)?(?:FileName|PathName|URL|MD5Digest)_.*|(?:.*_)?(?:file|path|url)"
    r"(?:_?name)?",
    "time": r"(?:.*_)?(?:ExecutionTime|AbsTime)(?:_.*)?|(?i:(?:.*_)?(?:timestamp|date|datetime))",
    "identifier": r".*Object_?Number(?:_.*)?|(?:.*_)?(?:Image|Table)_?Number|(?:.*_)?Parent_.*"
    r"|(?:.*_)?Children_(?:Cells|Nuclei|Cytoplasm)_Count|.*_TrackObjects_.*"
    r"|(?i:(?:.*[_ ])?(?:u?u?id|label|barcode|sgrna|guide|sequence)(?:_\d+)?)|(?i:.*_barcode_.*)",
    "position": r"(?:.*_)?Location_.*|(?:.*_)?(?:AreaShape_)?Center_[XYZ]"
    r"|.*BoundingBoxM(?:ax|in)imum_[XYZ]"
    r"|(?i:(?:.*_)?(?:weighted_)?centroid[-_]?[0-2xyz]|(?:.*_)?(?:bbox|bounds?|bounding_box)[-_]?\d?)"
    r"|(?:(?:cell|nucleus|nuclei|cytoplasm|cytosol|global|tile|image|well)_)?[ijxyz](?:_(?:\d|px|um))?"
    r"|[YX]|(?:.*_)?(?:pos|position|centre|center)_[xyzXYZ]",
    "plate, well or tile": r"(?i:plate|well|well_?(?:row|col|column|name|id)|row|col|column|tile"
    r"|site|field|fov|batch|replicate|plate_?name)",
}
EMPTY = "without a value"
_PATTERNS = {reason: re.compile(names) for reason, names in BOOKKEEPING.items()}


def reason_against(name: str, kind: str) -> str | None:
    """Return why a column is no feature by its name and kind; None if it may be one."""
    for reason, names in _PATTERNS.items():
        if names.fullmatch(name):
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
        Patterns of the configuration.
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
        else:
            reason = header.no_features.get(name) or reason_against(name, kind)
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
        more = f" and {len(wrong) - 8} more" if len(wrong) > 8 else ""
        raise InputError(
            where=f"configuration key embeddings.{model}.spaces",
            found=f"columns that cannot be taken: {', '.join(wrong[:8])}{more}",
            expected="columns of numbers",
            fix="correct the spaces, or name the columns in screen.not_features",
        )
