"""Wells and tiles as a configuration writes them in short: A01-C12, and 0-2, 7."""

import re
from collections.abc import Sequence

from mcvae_ops.archive.patterns import row_letters, well_name


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
