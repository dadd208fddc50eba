"""Errors that a user can act on: where, what was found, what was expected, what to do."""

import os
import re
from collections.abc import Sequence

TOKEN_VARIABLE = "DATAVERSE_API_TOKEN"
_HOST = r"(?<![^\s:'\"(,=])//"  # what stands before the host of an address, not within a path
# A slash in a password is none of the path, unless a port stands before it, or the host has colons.
_USER = re.compile(rf"({_HOST})(?:(?!\[)[^/\s:@]*:(?!\d{{1,5}}(?:[/?#\s]|\Z))\S*|[^/\s]*)@")
# To the next white space: only the last sign before it may be one of the sentence.
_QUERY = re.compile(rf"({_HOST}[^\s?#]*)[?#]\S*?(?=[,;:)'\"]?(?:\s|\Z))")


def shown(text: str) -> str:
    """Return a text without what must not be read by others, for logs, messages and reports.

    Addresses lose user, password, query and fragment, where signatures and keys stand.
    """
    return _QUERY.sub(r"\1", _USER.sub(r"\1", without_key(text)))


def without_key(text: str) -> str:
    """Return a text without the key of the Dataverse, which a server may have sent back."""
    key = _key()
    return text.replace(key, "(key)") if key else text


def some_of(names: Sequence[str], most: int = 10, separator: str = ", ") -> str:
    """Return the first names of a long list, and how many more there are."""
    n_more = len(names) - most
    return separator.join(names[:most]) + (f" and {n_more} more" if n_more > 0 else "")


def dataverse_key() -> str:
    """Return the key of the Dataverse, without the white space around it; "" where none is set.

    Raises
    ------
    InputError
        If it has letters that no header can have; what they are is not said.
    """
    key = _key()
    if not (key.isascii() and key.isprintable()):
        raise InputError(
            where=f"environment variable {TOKEN_VARIABLE}",
            found="signs that no key has",
            expected="the key as the Dataverse shows it",
            fix="set it again",
        )
    return key


def _key() -> str:
    return os.environ.get(TOKEN_VARIABLE, "").strip()


class InputError(ValueError):
    """An input or a setting is wrong; the message is one sentence with the way out (see `shown`).

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
        self.where = shown(where)
        super().__init__(shown(f"{where}: {what}; {fix}."))


class TransferError(OSError):
    """An attempt to fetch something failed in a way that another one may mend.

    Parameters
    ----------
    message
        One sentence (see `shown`), or the reason of one attempt.
    wait_s
        Seconds after which the server wants to be asked again, or None.
    """

    def __init__(self, message: str, wait_s: float | None = None) -> None:
        super().__init__(shown(message))
        self.wait_s = wait_s


class TileError(ValueError):
    """One tile is unusable; the tile is marked and counted, the run goes on."""
