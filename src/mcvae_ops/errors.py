"""Errors that a user can act on: where, what was found, what was expected, what to do."""


class InputError(ValueError):
    """An input or a setting is wrong; the message is one sentence with the way out.

    Raise it directly where a value is wrong; `missing` and `twice` give the sentences for what is
    not there and for what is there twice.

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

    def __init__(self, *, where: str, found: str, expected: str, fix: str) -> None:
        self._say(where, f"found {found}, expected {expected}", fix)

    @classmethod
    def missing(cls, *, where: str, what: str, why: str, fix: str) -> "InputError":
        """Return the error for something that is not there.

        Parameters
        ----------
        where, fix
            As above.
        what
            What is missing, as the subject of "is missing".
        why
            Why it is needed, as a clause of its own.
        """
        return cls._of(where, f"{what} is missing; {why}", fix)

    @classmethod
    def twice(cls, *, where: str, what: str, fix: str) -> "InputError":
        """Return the error for something that is defined twice.

        Parameters
        ----------
        where, fix
            As above.
        what
            What is defined twice, as the subject of the sentence.
        """
        return cls._of(where, f"{what} is defined twice", fix)

    @classmethod
    def _of(cls, where: str, what: str, fix: str) -> "InputError":
        error = cls.__new__(cls)
        error._say(where, what, fix)
        return error

    def _say(self, where: str, what: str, fix: str) -> None:
        self.where = where
        super().__init__(f"{where}: {what}; {fix}.")


class TileError(ValueError):
    """One tile is unusable; the tile is marked and counted, the run goes on."""
