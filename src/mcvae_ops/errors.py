"""Errors that a user can act on: where, what was found, what was expected, what to do."""


class InputError(ValueError):
    """An input or a setting is wrong; the message is one sentence with the way out.

    Parameters
    ----------
    where
        The file, table or configuration key at fault.
    found
        What stands there.
    expected
        What should stand there.
    fix
        What the user can do, as an imperative.
    """

    def __init__(self, where: str, found: str, expected: str, fix: str) -> None:
        self.where = where
        super().__init__(f"{where}: found {found}, expected {expected}; {fix}.")


class TileError(ValueError):
    """One tile is unusable; the tile is marked and counted, the run goes on."""
