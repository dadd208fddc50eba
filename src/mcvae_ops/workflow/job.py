"""One job: the function of its rule runs with a log, in the job's threads."""

import errno
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path

from threadpoolctl import threadpool_limits

from mcvae_ops.errors import InputError, TransferError, shown
from mcvae_ops.workflow.bind import bind
from mcvae_ops.workflow.ledger import ledger_of, write_ledger

DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)

logger = logging.getLogger(__name__)


def run(function: Callable[..., None], snakemake, **overrides) -> None:
    """Call the function of a rule with what the rule names; see `mcvae_ops.workflow.bind`.

    What it wrote is noted in the ledger of the run. A user's mistake ends the job in one sentence.
    Snakemake, which cannot tell a mistake from a failure that heals, starts the job again where
    there are retries: the sentence is kept beside the log, and a further attempt ends with it at
    once.

    Parameters
    ----------
    function
        Its parameters have the names of the rule's inputs, outputs, params and wildcards.
    snakemake
        What Snakemake hands to the script.
    overrides
        Arguments that take the place of the rule's or that the rule does not have.
    """
    log = Path(snakemake.log[0])
    _open_log(log)
    mistake = log.with_name(f"{log.name}.mistake")
    # The profiles hand the number of the attempt to the jobs as a resource.
    if snakemake.resources.get("attempt", 1) == 1:
        mistake.unlink(missing_ok=True)
    elif mistake.exists():
        logger.error("%s", mistake.read_text(encoding="utf-8"))
        sys.exit(1)
    place = (os.environ.get(name, "none") for name in ("SLURM_JOB_ID", "CUDA_VISIBLE_DEVICES"))
    logger.info("%d threads, SLURM job %s, CUDA_VISIBLE_DEVICES %s", snakemake.threads, *place)
    try:
        with threadpool_limits(snakemake.threads):
            function(**bind(function, snakemake, f"rule {snakemake.rule}", overrides))
            write_ledger(snakemake.output, ledger_of(log))
        return
    except InputError as error:
        logger.error("%s", error)
        mistake.write_text(str(error), encoding="utf-8")
    except TransferError as error:
        logger.error("%s", error)
    except OSError as error:
        if error.errno in DISK_ERRORS:
            place = error.filename or Path.cwd()
            way_out = "free some space, or run elsewhere (snakemake --directory)"
            logger.error("%s: %s; %s.", place, os.strerror(error.errno), way_out)
        else:
            logger.exception("%s failed", snakemake.rule)
    except Exception:
        logger.exception("%s failed", snakemake.rule)
    # Not raised, because a traceback on the terminal does not pass the log's `shown`.
    sys.exit(1)


class _Shown(logging.Formatter):
    """Keep keys and signatures out of the log, whoever writes to it."""

    def format(self, record: logging.LogRecord) -> str:
        return shown(super().format(record))


def _open_log(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(path, mode="w", encoding="utf-8")
    handler.setFormatter(_Shown("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.captureWarnings(True)
