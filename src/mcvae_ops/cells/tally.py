"""What became of the rows of a table of cells, counted."""

from collections import Counter
from dataclasses import dataclass, field, fields

USED = "used"  # what became of a row that is a cell of the screen; others have a reason


@dataclass
class Tally:
    """Rows of a table, counted by texts.

    Attributes
    ----------
    dropped
        By (plate, reason); the plate is empty where the screen does not name it.
    seen, elsewhere
        All rows, and the controls outside the screen, by (plate, well).
    tiles
        By (tile,), as the table spells it; the commonest of each batch of rows.
    """

    dropped: Counter = field(default_factory=Counter)
    seen: Counter = field(default_factory=Counter)
    elsewhere: Counter = field(default_factory=Counter)
    tiles: Counter = field(default_factory=Counter)

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    def note(self) -> dict[str, list]:
        """Return the counts as JSON can hold them."""
        return {
            f.name: [[*key, n] for key, n in getattr(self, f.name).items()] for f in fields(self)
        }

    @classmethod
    def of_note(cls, note: dict[str, list]) -> "Tally":
        """Return the counts of a `note`."""
        return cls(*(Counter({tuple(key): n for *key, n in note[f.name]}) for f in fields(cls)))
