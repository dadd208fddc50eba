"""What tells early that a training goes wrong: measured between validations, judged in words."""

import logging
import time

import numpy as np
import torch
from torch import Tensor

from mcvae_ops.models.objective import term_names
from mcvae_ops.shards.training_cells import Cells
from mcvae_ops.training.batches import Batches
from mcvae_ops.training.distributed import Ranks

logger = logging.getLogger(__name__)

LEAST_NATS = 1.0
PERSISTENT = 4
"""Validations; in the first steps s is still being learned."""


def salient_warnings(values: dict) -> dict[str, str]:
    """Say in plain words what is wrong with the salient space; nothing if nothing is.

    Parameters
    ----------
    values
        Of `mcvae_ops.training.validate.validate`; a plain VAE has no salient space.

    Returns
    -------
    ``salient_is_dead``: to encode s costs more nats than s saves, so that the model would do
    better without it; this does not depend on the scale of s, which a heavy Wasserstein term
    shrinks. ``controls_leak``: s is as large in control as in perturbed cells.
    """
    found = {}
    if not np.isfinite(values.get("nats_without_s", np.nan)):
        return found
    saved, cost = values["nats_without_s"], values["kl_s"]
    if saved < max(cost, LEAST_NATS):
        found["salient_is_dead"] = (
            f"the salient space is dead: s saves {saved:.1f} nats per perturbed cell and costs "
            f"{cost:.1f}, so scores of s mean little; lower wasserstein_weight or kl_weight"
        )
    controls, perturbed = values["mean_abs_s_ntc"], values["mean_abs_s_perturbed"]
    if controls >= perturbed:
        found["controls_leak"] = (
            f"controls leak into the salient space: mean |s| is {controls:.3g} in control and "
            f"{perturbed:.3g} in perturbed cells, so s does not single out perturbations; train "
            "longer or raise wasserstein_weight"
        )
    return found


class Watch:
    """Logs a warning when `PERSISTENT` validations in a row gave it, and when it is gone."""

    def __init__(self) -> None:
        self._seen: dict[str, int] = {}

    def tell(self, values: dict, step: int) -> None:
        """Log what changed with the validation of a step."""
        found = salient_warnings(values)
        for problem in sorted(problem for problem in self._seen if problem not in found):
            if self._seen[problem] >= PERSISTENT:
                logger.info("step %d: no longer %s", step, problem.replace("_", " "))
        self._seen = {problem: self._seen.get(problem, 0) + 1 for problem in found}
        for problem, sentence in found.items():
            if self._seen[problem] == PERSISTENT:
                logger.warning("step %d: %s", step, sentence)


class Meter:
    """Means over the steps since the last validation: terms, speed, waiting, mixing."""

    def __init__(self, batches: Batches, cells: Cells, device: torch.device) -> None:
        self._batches, self._cells = batches, cells
        self._names = term_names()
        self.terms = torch.zeros(len(self._names), device=device)
        self.mixing = torch.zeros(2)
        self._restart()

    def _restart(self) -> None:
        self._n_cells, self._started_s = 0, time.monotonic()
        self._waited_s = self._batches.waited_s

    def add(self, terms: dict[str, Tensor], positions: np.ndarray) -> None:
        """Count one step; `positions` are its cells, of this rank, in the index."""
        self.terms += torch.stack([terms[name].detach() for name in self._names])
        places = (self._cells.tile[positions], self._cells.batch[positions])
        self.mixing += torch.tensor([len(np.unique(place)) for place in places])
        self._n_cells += len(positions)

    def means(self, n_steps: int, ranks: Ranks) -> dict[str, float]:
        """Return the means over `n_steps` steps, and begin anew.

        Returns
        -------
        The terms of the objective over all ranks; ``cells_per_s`` of all ranks;
        ``loader_wait_share`` of the time; ``tiles_per_batch`` and ``wells_per_batch``: distinct
        ones in this rank's part of a batch.
        """
        seconds = time.monotonic() - self._started_s
        tiles, wells = (self.mixing / n_steps).tolist()
        values = dict(zip(self._names, ranks.mean(self.terms / n_steps).tolist(), strict=True))
        values |= {
            "cells_per_s": ranks.size * self._n_cells / seconds,
            "loader_wait_share": (self._batches.waited_s - self._waited_s) / seconds,
            "tiles_per_batch": tiles,
            "wells_per_batch": wells,
        }
        self.terms.zero_()
        self.mixing.zero_()
        self._restart()
        return values

    def state(self) -> dict[str, Tensor]:
        """Return what a checkpoint keeps."""
        return {"terms": self.terms, "mixing": self.mixing}

    def load(self, state: dict[str, Tensor]) -> None:
        """Go on from a checkpoint."""
        self.terms.copy_(state["terms"])
        self.mixing.copy_(state["mixing"])
