"""Which columns of a table are features of cells: numbers, but no bookkeeping.

The names are those of CellProfiler, cytominer, CytoTable, scikit-image and pandas, and the usual
ones of tables that laboratories write themselves.
"""

import re
from collections.abc import Collection, Sequence

from mcvae_ops.archive.table_formats import Header
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
    return {"number": None, "empty": EMPTY, "other": "neither number nor text"}.get(kind, kind)


def sort_columns(
    header: Header, used: Collection[str], features: Sequence[str], not_features: Sequence[str]
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

    Returns
    -------
    By column, in the order of the table: None for a feature, otherwise the reason against it.

    Raises
    ------
    InputError
        If ``screen.features`` names columns outright that cannot be features: all of them at once.
    """
    reasons = {}
    for name, kind in header.kinds.items():
        reason = header.no_features.get(name) or reason_against(name, kind)
        if name in used:
            reason = "named under columns"
        elif is_like(name, not_features):
            reason = "screen.not_features"
        elif reason is None and not is_like(name, features):
            reason = "not in screen.features"
        reasons[name] = reason
    if wrong := [f"{name} ({reasons[name]})" for name in features if reasons.get(name)]:
        raise InputError(
            where="configuration key screen.features",
            found=f"columns that cannot be features: {', '.join(wrong)}",
            expected="columns of numbers that are measured of each cell",
            fix="leave them out",
        )
    return reasons
