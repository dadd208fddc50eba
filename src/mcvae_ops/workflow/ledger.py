"""The ledger of a run: what each job wrote, with its SHA-256, and whether it is still so.

A job leaves a file below ``checksums/``, at the place that its log has below ``logs/``, in the form
of ``sha256sum``. A file for each job, because jobs on many nodes cannot share one.
"""

import hashlib
import logging
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mcvae_ops.errors import InputError
from mcvae_ops.files import write_text
from mcvae_ops.progress import Progress

logger = logging.getLogger(__name__)

FOLDER = "checksums"


def ledger_of(log: str | Path) -> Path:
    """Return the ledger of the job of a log."""
    parts = [FOLDER if part == "logs" else part for part in Path(log).parts]
    return Path(*parts).with_suffix(".sha256")


def write_ledger(outputs: Iterable[str], ledger: Path) -> None:
    """Note the files that a job wrote, those in its folders too; without any, nothing."""
    files = [file for output in outputs for file in _files_of(Path(output))]
    if files:
        write_text("".join(f"{_sha256(file)}  {file}\n" for file in files), ledger)


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
        If a file is not what its rule wrote; all of them are in the log, with the rule. Files that
        are gone are counted: what needs them makes them again.
    """
    noted = [line for path in sorted(Path(checksums).rglob("*.sha256")) for line in _lines(path)]
    if not noted:
        raise InputError.missing(
            where=checksums,
            what="the ledger",
            why="jobs write it when they end",
            fix="run the workflow first",
        )
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
    if changed:
        more = f" (and {len(changed) - 1} more, see the log)" if len(changed) > 1 else ""
        raise InputError(
            where=changed[0] + more,
            found="other bytes than its rule wrote",
            expected=f"those of {checksums}",
            fix="delete it, and Snakemake makes it again, with all that was made of it",
        )


def _lines(ledger: Path) -> Iterator[tuple[str, str, str]]:
    """Yield digest, file and rule of the lines of a ledger."""
    place = ledger.with_suffix("").parts
    after = place[len(place) - place[::-1].index(FOLDER) :]
    rule = after[min(1, len(after) - 1)]
    for line in ledger.read_text(encoding="utf-8", errors="replace").splitlines():
        sha256, _, file = line.partition("  ")
        yield sha256, file, rule


def _files_of(output: Path) -> Iterator[Path]:
    if output.is_dir():
        yield from sorted(path for path in output.rglob("*") if path.is_file())
    elif output.exists():
        yield output


def _sha256(path: str | Path) -> str:
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
