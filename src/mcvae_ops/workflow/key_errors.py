"""Errors about a key of the configuration."""

from pathlib import Path

from mcvae_ops.errors import InputError


def wrong(key: str, found: str, expected: str, fix: str) -> InputError:
    """Return the error for a value of a key."""
    return InputError(where=f"configuration key {key}", found=found, expected=expected, fix=fix)


def missing(key: str, what: str, why: str, fix: str) -> InputError:
    """Return the error for a key without the value that it needs."""
    return InputError.missing(where=f"configuration key {key}", what=what, why=why, fix=fix)


def check_there(key: str, file: str) -> None:
    """Refuse a file that is not there."""
    if not Path(file).exists():
        raise missing(
            key,
            f"the file {file}",
            "the run reads it",
            "place it there, or set another path or an https address",
        )
