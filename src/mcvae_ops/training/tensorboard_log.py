"""Log the metrics of a training for TensorBoard, where it is installed."""

import logging

logger = logging.getLogger(__name__)


class TensorBoardLog:
    """Writes the metrics of a training as TensorBoard scalars while it runs.

    A GPU node may lack the package tensorboard; then only the table of metrics is written.

    Parameters
    ----------
    folder
        Folder that TensorBoard reads; None writes nothing.
    steps_done
        Steps before this run; scalars of later steps, from an interrupted run, are dropped.
    """

    def __init__(self, folder: str | None, steps_done: int) -> None:
        self._writer = None
        if folder is None:
            return
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            logger.info("tensorboard is not installed: no scalars are written")
            return
        self._writer = SummaryWriter(folder, purge_step=steps_done + 1)

    def write(self, phase: str, values: dict, step: int) -> None:
        """Write those values of a phase that are numbers."""
        if self._writer is None:
            return
        for name, value in values.items():
            if isinstance(value, int | float):
                self._writer.add_scalar(f"{name}/{phase}", value, step)
        self._writer.flush()
