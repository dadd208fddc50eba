"""What has arrived: one line per file, beside the files; it stays when they are deleted."""

import os
from pathlib import Path

LEDGER = "received.tsv"


def received(target: str | Path) -> tuple[int, str] | None:
    """Return size in bytes and sha256 with which a file first arrived; None if it never did."""
    target = Path(target)
    ledger = target.with_name(LEDGER)
    if not ledger.exists():
        return None
    with open(ledger, encoding="utf-8") as lines:
        for line in lines:
            # A line that a killed process left unfinished has no line break.
            if line.startswith(target.name + "\t") and line.endswith("\n"):
                _, size_bytes, sha256 = line.rstrip("\n").split("\t")
                return int(size_bytes), sha256
    return None


def note_receipt(target: str | Path, size_bytes: int, sha256: str) -> None:
    """Add a file to the ledger of its folder: one write, so that parallel ones do not mix."""
    target = Path(target)
    line = f"{target.name}\t{size_bytes}\t{sha256}\n".encode()
    ledger = os.open(target.with_name(LEDGER), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(ledger, line)
        os.fsync(ledger)
    finally:
        os.close(ledger)
