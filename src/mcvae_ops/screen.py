"""What the configuration says of a screen, as objects."""

from collections.abc import Sequence
from dataclasses import dataclass

CONTROL = "NTC"


@dataclass(frozen=True)
class Channel:
    """One channel of the crops: `index` is its position on the channel axis of its file."""

    name: str
    stain: str
    group: str
    index: int
    colour: str


def channels_from(entries: Sequence[dict]) -> list[Channel]:
    """Return the channels in the order of the crops' channel axis."""
    return [Channel(**entry) for entry in entries]


def tile_numbers(tiles: str) -> list[int]:
    """Return the tiles that ranges name, ascending, each once: ``"0-2, 7"`` gives 0, 1, 2, 7."""
    numbers = set()
    for part in tiles.split(","):
        first, _, last = part.strip().partition("-")
        numbers.update(range(int(first), int(last or first) + 1))
    return sorted(numbers)
