"""The course of a training for TensorBoard, where it is installed."""

import logging

logger = logging.getLogger(__name__)


class TensorBoardLog:
    """Writes the metrics of a training as TensorBoard scalars while it runs.

    A bare GPU node may lack the package: then there is the table of metrics alone.

    Parameters
    ----------
    folder
        Where TensorBoard looks; None writes nothing.
    steps_done
        Before this run; what an interrupted one wrote of later ones is overwritten.
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
        """Write the numbers among `values` of a phase."""
        if self._writer is None:
            return
        for name, value in values.items():
            if isinstance(value, int | float):
                self._writer.add_scalar(f"{name}/{phase}", value, step)
        self._writer.flush()
