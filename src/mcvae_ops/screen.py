"""A screen as the configuration describes it: channels, tiles, grid of a well, words."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mcvae_ops.errors import InputError

CONTROL = "NTC"
ALL_TILES = "all"  # screen.tiles: those that the tables of embedded cells have
DISC = "disc"  # screen.outlines: a disc stands for the cell
# What a table of cells says of each cell; the rest of its columns are features, or no use.
COLUMNS = ("plate", "well", "tile", "y_px", "x_px", "guide", "gene")
# Reads the dose from the guide of a compound, which is its name, a space and the dose.
DOSE_OF_GUIDE = r" ([^ ]+)$"
_WORDS = {"gene": "perturbation", "guide": "guide", "ntc": "control"}


@dataclass(frozen=True)
class Channel:
    """A channel of the crops.

    Attributes
    ----------
    name, stain, colour
        As the configuration calls them.
    group
        Its file: what `{channel}` reads in the address of an image.
    index
        Its position on the channel axis of its file; None finds it by its name, in files that name
        their channels, and takes the only one of other files.
    """

    name: str
    group: str
    index: int | None
    stain: str = ""
    colour: str = ""


def channels_from(entries: Sequence[dict]) -> list[Channel]:
    """Return the channels in the order of the crops' channel axis."""
    return [Channel(**entry) for entry in entries]


def plain_columns(cells: Sequence[dict]) -> dict[str, str]:
    """Return what the first table of cells calls plate, well, tile, position, guide and gene."""
    named = cells[0]["columns"] if cells else {}
    return {name: named.get(name, name) for name in COLUMNS}


def crops_are_given(cells: Sequence[dict]) -> bool:
    """Say whether the first table of cells says where the crop of each is; no image is read."""
    return bool(cells) and "crop" in cells[0]["columns"]


def control_values(control: str | Sequence[str] | dict) -> tuple[str, list[str]]:
    """Return the name whose values mark controls (gene or role), and their patterns, trimmed.

    Parameters
    ----------
    control
        Key ``screen.control`` of the configuration.
    """
    name, values = ("role", control["role"]) if isinstance(control, dict) else ("gene", control)
    return name, [value.strip() for value in ([values] if isinstance(values, str) else values)]


def is_like(text: str, patterns: Sequence[str]) -> bool:
    """Say whether a text is like one of some patterns, in which ``*`` is any text.

    Nothing else has a meaning there: ``DMSO [vehicle]`` is like itself alone.
    """
    return any(
        re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), text, re.DOTALL)
        for pattern in patterns
    )


def tile_numbers(tiles: str) -> list[int]:
    """Return the numbers of the tiles in some ranges, ascending: ``"0-2, 7"`` gives 0, 1, 2, 7.

    Raises
    ------
    InputError
        If they are `ALL_TILES`, and so not known before the tables are read.
    """
    if tiles == ALL_TILES:
        raise InputError(
            where="configuration key screen.tiles",
            found=repr(tiles),
            expected="the numbers of the tiles, which something needs before the tables are read",
            fix="name them, such as 0-8",
        )
    numbers = set()
    for part in tiles.split(","):
        first, _, last = part.strip().partition("-")
        numbers.update(range(int(first), int(last or first) + 1))
    return sorted(numbers)


def only_tile(tiles: str) -> str | None:
    """Return the tile of cells of which no table says one; None where there are several."""
    return "0" if tiles == ALL_TILES else tiles.strip() if tiles.strip().isdigit() else None


def tile_shape(tile_size_px: int | Sequence[int]) -> tuple[int, int]:
    """Return the lengths (y, x) of a tile; one number means a square."""
    if isinstance(tile_size_px, int):
        return tile_size_px, tile_size_px
    size_y, size_x = tile_size_px
    return size_y, size_x


def length_of(n_px: int, pixel_size_um: float | None) -> str:
    """Return a length in words, in um too where the pixel size is known: ``48 px (24 µm)``."""
    return f"{n_px} px" + (f" ({n_px * pixel_size_um:.0f} µm)" if pixel_size_um else "")


def symbols_of(gene: str) -> set[str]:
    """Return the symbols that a gene of the library goes by: ``A&B``, and A, and B.

    The guides of a merged gene (``U2AF1L5&U2AF1``) cut both genes.
    """
    return {gene, *gene.split("&")}


def reworded(text: str, words: dict[str, str]) -> str:
    """Replace genes, guides and NTC by the words of the screen: ``2 genes`` by ``2 compounds``.

    Parameters
    ----------
    text
        Prose about genes, guides and NTC.
    words
        Section ``screen.words`` of the configuration.
    """

    def word(match: re.Match) -> str:
        old, plural = match.groups()
        new = words[_WORDS[old.lower()]]
        return (new[0].upper() + new[1:] if old[0] == "G" else new) + plural

    return re.sub(r"\b(NTC|[Gg]ene|[Gg]uide)(s?)\b", word, text)


def well_grid(column_heights: list[int]) -> np.ndarray:
    """Return (row, column) of each tile of a well, of shape (tile, 2).

    Tiles are numbered column by column in a snake: the first column downwards, the next one
    upwards. Columns are centred (rounded up where heights differ by an odd number).
    """
    tallest = max(column_heights)
    positions = []
    for column, height in enumerate(column_heights):
        rows = (tallest - height) // 2 + np.arange(height)
        rows = rows if column % 2 == 0 else rows[::-1]
        positions.append(np.column_stack([rows, np.full(height, column)]))
    return np.concatenate(positions)


def folder_name(name: str) -> str:
    """Return the name of a plate or well as it stands in paths and on command lines.

    Letters, digits, ``_``, ``-`` and ``.`` stay, the last two not at the beginning; every other
    byte becomes ``+`` and two hexadecimal digits. `name_of` is the way back.
    """
    kept = (
        character
        if re.fullmatch("[A-Za-z0-9_]" if k == 0 else "[A-Za-z0-9_.-]", character)
        else "".join(f"+{byte:02X}" for byte in character.encode())
        for k, character in enumerate(name)
    )
    return "".join(kept)


def name_of(folder: str) -> str:
    """Return the name that `folder_name` has written."""
    plain = re.sub(rb"\+([0-9A-F]{2})", lambda m: bytes.fromhex(m[1].decode()), folder.encode())
    return plain.decode(errors="replace")


def on_grid(tiles: int | np.ndarray, grid: dict) -> int | np.ndarray:
    """Return the rows of `well_grid` of tiles; the grid begins with its ``first_tile``.

    Parameters
    ----------
    tiles
        Numbers of tiles, as the screen numbers them.
    grid
        Section ``screen.well_grid``: column_heights and first_tile.

    Raises
    ------
    InputError
        If a tile lies outside the grid.
    """
    rows, n_tiles = np.subtract(tiles, grid["first_tile"]), sum(grid["column_heights"])
    if np.any(outside := (rows < 0) | (rows >= n_tiles)):
        raise InputError(
            where="configuration key screen.well_grid",
            found=f"a grid of {n_tiles} tiles, which has no tile {np.extract(outside, tiles)[0]}",
            expected="a place on the grid for every tile",
            fix="correct screen.well_grid.column_heights or first_tile, or set the grid to null",
        )
    return rows
