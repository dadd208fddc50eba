"""The rows of a table in batches: how many at a time, and the error of text among numbers."""

import pyarrow as pa

_BATCH_BYTES = 64 << 20


def rows_at_once(n_columns: int) -> int:
    """Return how many rows of a table to hold at a time."""
    return max(1, _BATCH_BYTES // (8 * max(1, n_columns)))


def no_numbers(odd: dict[str, object]) -> pa.ArrowInvalid:
    """Return the error for columns of numbers that hold text, with one text of each."""
    listed = ", ".join(f"{name} ({value!r:.80})" for name, value in odd.items())
    return pa.ArrowInvalid(f"text in columns of numbers: {listed}")
