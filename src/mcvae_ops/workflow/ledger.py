"""The ledger of a run: what each job wrote, with its SHA-256, and whether it is still so.

A job leaves a file below ``checksums/``, at the place that its log has below ``logs/``, in the form
of ``sha256sum``. A file for each job, because jobs on many nodes cannot share one. Its first line,
a comment for ``sha256sum``, is the SHA-256 of the others.
"""

import hashlib
import logging
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mcvae_ops.errors import InputError
from mcvae_ops.files import write_text
from mcvae_ops.progress import Progress

logger = logging.getLogger(__name__)

FOLDER = "checksums"
_HEAD = "# SHA-256 of the lines below: "
_LINE = re.compile(r"([0-9a-f]{64})  (.+)")


def ledger_of(log: str | Path) -> Path:
    """Return the ledger of the job of a log."""
    parts = [FOLDER if part == "logs" else part for part in Path(log).parts]
    return Path(*parts).with_suffix(".sha256")


def write_ledger(outputs: Iterable[str], ledger: Path) -> None:
    """Note the files that a job wrote, those in its folders too; without any, nothing."""
    files = [file for output in outputs for file in _files_of(Path(output))]
    if files:
        lines = "".join(f"{_sha256(file)}  {file}\n" for file in files)
        write_text(_head_of(lines) + lines, ledger)


def verify(checksums: str, threads: int) -> None:
    """Rule verify: compare every file of a run with the ledger.

    Parameters
    ----------
    checksums
        Folder of the ledgers of a screen.
    threads
        Files that are read at a time.

    Raises
    ------
    InputError
        If a file is not what its rule wrote, or a ledger not what its job wrote; all of them are in
        the log, with the rule. Files that are gone are counted: what needs them makes them again.
    """
    ledgers = sorted(Path(checksums).rglob("*.sha256"))
    if not ledgers:
        raise InputError.missing(
            where=checksums,
            what="the ledger",
            why="jobs write it when they end",
            fix="run the workflow first",
        )
    damaged = [ledger for ledger in ledgers if not _is_whole(ledger)]
    for ledger in damaged:
        logger.error("%s is damaged; what follows about its files may be wrong", ledger)
    noted = [line for ledger in ledgers for line in _lines(ledger)]
    here = [line for line in noted if os.path.isfile(line[1])]  # no name of a damaged line is
    progress, changed = Progress(len(here), "files", "verify"), []
    with ThreadPoolExecutor(threads) as pool:
        digests = pool.map(_sha256, (file for _, file, _ in here))
        for (sha256, file, rule), found in zip(here, digests, strict=True):
            progress.step()
            if found != sha256:
                changed.append(file)
                logger.error(
                    "%s is not what rule %s wrote: delete it, and Snakemake makes it again",
                    file, rule,
                )  # fmt: skip
    logger.info("%d files are as they were written, %d changed, %d are gone",
                len(here) - len(changed), len(changed), len(noted) - len(here))  # fmt: skip
    if damaged:
        rule = _rule_of(damaged[0])
        raise InputError(
            where=_first_of(damaged),
            found="other lines than its job wrote",
            expected="the SHA-256 of each file that the job wrote",
            fix=f"delete it, and what rule {rule} wrote; Snakemake makes both again",
        )
    if changed:
        raise InputError(
            where=_first_of(changed),
            found="other bytes than its rule wrote",
            expected=f"those of {checksums}",
            fix="delete it, and Snakemake makes it again, with all that was made of it",
        )


def _first_of(paths: Sequence[str | Path]) -> str:
    more = f" (and {len(paths) - 1} more, see the log)" if len(paths) > 1 else ""
    return f"{paths[0]}{more}"


def _head_of(lines: str) -> str:
    return f"{_HEAD}{hashlib.sha256(lines.encode()).hexdigest()}\n"


def _is_whole(ledger: Path) -> bool:
    """Say whether a ledger is as its job wrote it; those of earlier versions have no first line."""
    text = ledger.read_text(encoding="utf-8", errors="replace")
    first, _, rest = text.partition("\n")
    if first.startswith(_HEAD):
        return _head_of(rest) == first + "\n"
    return text.endswith("\n") and all(map(_LINE.fullmatch, text[:-1].split("\n")))


def _lines(ledger: Path) -> Iterator[tuple[str, str, str]]:
    """Yield digest, file and rule of the lines of a ledger."""
    for line in ledger.read_text(encoding="utf-8", errors="replace").split("\n"):
        if match := _LINE.fullmatch(line):
            yield match[1], match[2], _rule_of(ledger)


def _rule_of(ledger: Path) -> str:
    place = ledger.with_suffix("").parts
    after = place[len(place) - place[::-1].index(FOLDER) :]
    return after[min(1, len(after) - 1)]


def _files_of(output: Path) -> Iterator[Path]:
    if output.is_dir():
        yield from sorted(path for path in output.rglob("*") if path.is_file())
    elif output.exists():
        yield output


def _sha256(path: str | Path) -> str:
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
