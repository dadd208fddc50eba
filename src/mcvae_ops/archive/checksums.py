"""What has arrived: one line per file, beside the files; it stays when they are deleted."""

import errno
import os
import re
from pathlib import Path

LEDGER = "received.tsv"
_REST = re.compile(rb"(\d{1,18})\t([0-9a-f]{64})\n")


def received(target: str | Path) -> tuple[int, str] | None:
    """Return size in bytes and sha256 with which a file first arrived; None if it never did.

    Lines that are no line of a ledger are passed over: a full disk or a killed process tears them.
    """
    target = Path(target)
    ledger = target.with_name(LEDGER)
    if not ledger.exists():
        return None
    start = _name(target) + b"\t"
    with open(ledger, "rb") as lines:
        for line in lines:
            if line.startswith(start) and (match := _REST.fullmatch(line, len(start))):
                return int(match[1]), match[2].decode()
    return None


def note_receipt(target: str | Path, size_bytes: int, sha256: str) -> None:
    """Add a file to the ledger of its folder: one write, so that parallel ones do not mix."""
    target = Path(target)
    line = _name(target) + f"\t{size_bytes}\t{sha256}\n".encode()
    ledger = os.open(target.with_name(LEDGER), os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        end = os.fstat(ledger).st_size
        if end and os.pread(ledger, 1, end - 1) != b"\n":
            line = b"\n" + line  # the line before was torn, and must not swallow this one
        if os.write(ledger, line) < len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target.with_name(LEDGER)))
        os.fsync(ledger)
    finally:
        os.close(ledger)


def _name(target: Path) -> bytes:
    """Return a name as it stands in a line, whose marks it must not hold."""
    name = os.fsencode(target.name)
    return name.replace(b"\t", b"%09").replace(b"\n", b"%0A").replace(b"\r", b"%0D")
