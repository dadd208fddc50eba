"""Diagnostics of a training in progress: means between validations, and warnings in words."""

import logging
import time

import numpy as np
import torch
from torch import Tensor

from mcvae_ops.models.objective import term_names
from mcvae_ops.shards.training_cells import Cells
from mcvae_ops.training.distributed import Ranks
from mcvae_ops.training.leaks import leak_warnings
from mcvae_ops.training.minibatches import Minibatches

logger = logging.getLogger(__name__)

LEAST_NATS = 1.0
"""Per cell; a salient space that saves less is not in use, whatever it costs."""
PERSISTENT = 4
"""Validations in a row after which a warning is logged; at first s is still being learned."""


def salient_warnings(values: dict) -> dict[str, str]:
    """Return warnings about the salient space, by name; none if it works, or if there is none.

    Parameters
    ----------
    values
        Values of `mcvae_ops.training.validate.validate`.

    Returns
    -------
    ``salient_is_dead``: to encode s costs more nats than s saves, so the model would be better
    without s. The comparison does not depend on the scale of s, which a large Wasserstein weight
    shrinks. ``controls_leak``: s is as large in control as in perturbed cells.
    """
    warnings = {}
    if not np.isfinite(values.get("nats_without_s", np.nan)):
        return warnings
    saved, cost = values["nats_without_s"], values["kl_s"]
    if saved < max(cost, LEAST_NATS):
        warnings["salient_is_dead"] = (
            f"the salient space is dead: s saves {saved:.1f} nats per perturbed cell and costs "
            f"{cost:.1f}, so scores of s mean little; lower wasserstein_weight or kl_weight"
        )
    controls, perturbed = values["mean_abs_s_ntc"], values["mean_abs_s_perturbed"]
    if controls >= perturbed:
        warnings["controls_leak"] = (
            f"controls leak into the salient space: mean |s| is {controls:.3g} in control and "
            f"{perturbed:.3g} in perturbed cells, so s does not distinguish perturbed cells; train "
            "longer or raise wasserstein_weight"
        )
    return warnings


class PersistentWarnings:
    """Logs a warning after `PERSISTENT` validations in a row with it, and again when it ends."""

    def __init__(self) -> None:
        self._n_in_a_row: dict[str, int] = {}

    def update(self, values: dict, step: int) -> None:
        """Log the warnings that begin or end with the validation of a step."""
        warnings, before = salient_warnings(values) | leak_warnings(values), self._n_in_a_row
        for problem in sorted(before.keys() - warnings.keys()):
            if before[problem] >= PERSISTENT:
                logger.info("step %d: no longer %s", step, problem.replace("_", " "))
        self._n_in_a_row = {problem: before.get(problem, 0) + 1 for problem in warnings}
        for problem, sentence in warnings.items():
            if self._n_in_a_row[problem] == PERSISTENT:
                logger.warning("step %d: %s", step, sentence)


class Meter:
    """Means over the steps since the last validation: terms, speed, waiting, mixing."""

    def __init__(self, minibatches: Minibatches, cells: Cells, device: torch.device) -> None:
        self._minibatches, self._cells = minibatches, cells
        self._names = term_names()
        self.terms = torch.zeros(len(self._names), device=device)
        self.mixing = torch.zeros(2)
        self._restart()

    def _restart(self) -> None:
        self._n_cells, self._started_s = 0, time.monotonic()
        self._waited_s = self._minibatches.waited_s

    def add(self, terms: dict[str, Tensor], positions: np.ndarray) -> None:
        """Count one step; `positions` are its cells, of this rank, in the index."""
        self.terms += torch.stack([terms[name].detach() for name in self._names])
        origins = (self._cells.tile[positions], self._cells.well[positions])
        self.mixing += torch.tensor([len(np.unique(origin)) for origin in origins])
        self._n_cells += len(positions)

    def means(self, n_steps: int, ranks: Ranks) -> dict[str, float]:
        """Return the means over the last `n_steps` steps, and reset the sums.

        Returns
        -------
        The terms of the objective over all ranks; ``cells_per_s`` of all ranks;
        ``loader_wait_share``, the share of the time spent waiting for crops; ``tiles_per_batch``
        and ``wells_per_batch``, distinct ones in this rank's part of a minibatch.
        """
        seconds = time.monotonic() - self._started_s
        tiles, wells = (self.mixing / n_steps).tolist()
        values = dict(zip(self._names, ranks.mean(self.terms / n_steps).tolist(), strict=True))
        values |= {
            "cells_per_s": ranks.size * self._n_cells / seconds,
            "loader_wait_share": (self._minibatches.waited_s - self._waited_s) / seconds,
            "tiles_per_batch": tiles,
            "wells_per_batch": wells,
        }
        self.terms.zero_()
        self.mixing.zero_()
        self._restart()
        return values

    def state(self) -> dict[str, Tensor]:
        """Return the sums, for a checkpoint."""
        return {"terms": self.terms, "mixing": self.mixing}

    def load(self, state: dict[str, Tensor]) -> None:
        """Restore the sums of a checkpoint."""
        self.terms.copy_(state["terms"])
        self.mixing.copy_(state["mixing"])
