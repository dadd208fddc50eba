"""One job: the function of its rule runs with a log, in the job's threads."""

import errno
import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from threadpoolctl import threadpool_limits

from mcvae_ops.errors import InputError
from mcvae_ops.workflow.bind import bind

DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


def run(function: Callable[..., None], snakemake, **overrides) -> None:
    """Call the function of a rule with what the rule names; see `mcvae_ops.workflow.bind`.

    Parameters
    ----------
    function
        Its parameters have the names of the rule's inputs, outputs, params and wildcards.
    snakemake
        What Snakemake hands to the script.
    overrides
        Arguments that take the place of the rule's or that the rule does not have.
    """
    with _job(snakemake):
        function(**bind(function, snakemake, f"rule {snakemake.rule}", overrides))


@contextmanager
def _job(snakemake) -> Iterator[None]:
    """Log to the rule's log file, keep to its threads, and end a user's mistake in one sentence."""
    logging.basicConfig(
        level=logging.INFO,
        format="%(asctime)s %(name)s: %(message)s",
        filename=snakemake.log[0],
        filemode="w",
        force=True,
    )
    logging.captureWarnings(True)
    logger = logging.getLogger(__name__)
    place = (os.environ.get(name, "none") for name in ("SLURM_JOB_ID", "CUDA_VISIBLE_DEVICES"))
    logger.info("%d threads, SLURM job %s, CUDA_VISIBLE_DEVICES %s", snakemake.threads, *place)
    try:
        with threadpool_limits(snakemake.threads):
            yield
    except InputError as error:
        logger.error("%s", error)
        sys.exit(1)
    except OSError as error:
        if error.errno not in DISK_ERRORS:
            logger.exception("%s failed", snakemake.rule)
            raise
        place = error.filename or Path.cwd()
        logger.error(
            "%s: %s; free some space, or run elsewhere (snakemake --directory).",
            place,
            os.strerror(error.errno),
        )
        sys.exit(1)
    except Exception:
        logger.exception("%s failed", snakemake.rule)
        raise
