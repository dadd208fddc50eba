"""What the parts of paths say: plate, well, tile, channel, or nothing that matters.

A part is told by its values (``B02``, ``DAPI``), by the letters before it (``s``, ``ch``,
``Site``), or because nothing else is left for it.
"""

import re
from collections.abc import Sequence
from itertools import pairwise

from mcvae_ops.doctor.path_parts import ANY, Leaf

_MOST_CHANNELS, _MOST_NAMED_CHANNELS = 12, 200


def assign_roles(leaves: list[Leaf]) -> None:
    """Give every part its role; equal parts have one.

    Beside the fields of a pattern, these are ``*`` (any text), ``?plane`` and ``?time`` (a number
    that no field reads). Literal text has none.
    """
    for leaf in leaves:
        if leaf.distinct == {ANY}:
            leaf.role = "*"
    _assign_wells(leaves)
    roles = _Roles(leaves)
    roles.tell_by_values_and_hints()
    roles.tell_by_folders()
    roles.tell_by_what_is_left()
    for leaf in leaves:
        if leaf.role in ("plane", "time"):
            leaf.role = f"?{leaf.role}"
    _say_once(leaves)


class _Roles:
    """Roles but for the well, given to one part after the other, the surest first.

    Attributes
    ----------
    leaves
        All parts.
    free
        Parts that vary and have no role yet.
    given
        Roles that a part has.
    """

    def __init__(self, leaves: list[Leaf]) -> None:
        self.leaves = leaves
        self.free = [leaf for leaf in leaves if leaf.role is None and not leaf.is_constant]
        self.given = {leaf.role for leaf in leaves if leaf.role}

    def tell_by_values_and_hints(self) -> None:
        """Tell channels by names of stains, and the others by the letters before them."""
        few = [leaf for leaf in self.free if len(leaf.distinct) <= _MOST_NAMED_CHANNELS]
        numbers = [leaf for leaf in self.free if leaf.is_number]
        for leaf in few:
            if leaf.role is None and leaf.is_stain:
                self._give("channel", leaf)
        for role, among in (("channel", few), ("tile", numbers), ("plane", numbers),
                            ("time", numbers)):  # fmt: skip
            self._give_first(role, [x for x in among if x.role is None and x.is_hinted(role)])
        if "tile" not in self.given:
            self._tell_the_only_tile()

    def tell_by_folders(self) -> None:
        """Tell plates: they have folders. Numbers of folders may still be tiles."""
        may_be_tiles = "tile" not in self.given
        self._give_first("plate", [
            leaf for leaf in self.free if leaf.in_folder and not (may_be_tiles and leaf.is_number)
        ])  # fmt: skip

    def tell_by_what_is_left(self) -> None:
        """Take the first part that may be a channel, tile or plate for it; others mean nothing."""
        self._leave_out_names_of_channels()
        self._give_first("channel", [
            leaf for leaf in self.free
            if not leaf.is_number and len(leaf.distinct) <= _MOST_CHANNELS
        ])  # fmt: skip
        self._leave_out_names_of_channels()
        self._give_first("tile", [leaf for leaf in self.free if leaf.is_number])
        self._give_first("plate", [leaf for leaf in self.free if not leaf.is_number])
        for leaf in self.free:
            leaf.role = "*"

    def _give_first(self, role: str, among: Sequence[Leaf]) -> None:
        if among and role not in self.given:
            self._give(role, among[0])

    def _give(self, role: str, leaf: Leaf) -> None:
        """Give a role to a part, and to those that say the same."""
        for other in self.leaves:
            if other.role is None and other.values == leaf.values:
                other.role = role
        self.free = [other for other in self.free if other.role is None]
        self.given.add(role)

    def _tell_the_only_tile(self) -> None:
        """Tell the tile of a screen that has one: a number that is the same in all names."""
        for leaf in self.leaves:
            is_number = leaf.role is None and leaf.is_constant and leaf.is_number
            if is_number and leaf.hinted == "tile" and not leaf.in_folder:
                leaf.role = "tile"
                self.given.add("tile")
                return

    def _leave_out_names_of_channels(self) -> None:
        """Let what the channel says again mean nothing: it is no tile."""
        channel = next((leaf for leaf in self.leaves if leaf.role == "channel"), None)
        for leaf in self.free:
            if channel is not None and _says(channel, leaf):
                leaf.role = "*"
        self.free = [leaf for leaf in self.free if leaf.role is None]


def _assign_wells(leaves: list[Leaf]) -> None:
    """Find the well: ``r01c02``, else the part with the most names of wells, else ``A/2``."""
    short = [leaf for leaf in leaves if re.fullmatch(r"\d{1,2}|[A-P]", leaf.values[0])]
    for row, column in pairwise(short):
        if (row.hinted, column.hinted) == ("row", "column"):
            row.role, column.role = "row", "column"
            return
    wells = [leaf for leaf in leaves if leaf.is_well]
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
        if is_letter and column.is_number:
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
