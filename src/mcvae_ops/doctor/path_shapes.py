"""Paths of one shape: as many folders, as many ``_`` in the name, the same kind of picture.

A pattern reads one shape. Masks, and images of other uses (cycles of sequencing, montages), are
told by words in their paths.
"""

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

_MASK = re.compile("mask|label|segment|outline|thumb")
_OTHER_USE = re.compile("cycle|sbs|genotyp|barcod|10x|illum|montage")


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
            suffix_of(path).lower()[:4],
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


def suffix_of(path: str) -> str:
    """Return the end of a path from its last point on; "" without one."""
    name = path.rpartition("/")[2]
    return name[name.rfind(".") :] if "." in name else ""
