"""The cells of a well: the guide of each cell, and its level on every phenotypic axis."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.special import ndtri

from mcvae_ops.simulate.library import AXES, EFFECTS, NATURAL_AXES

_WELLS_PER_CONTROL = 4


def draw_cells(
    density: np.ndarray, effects: pd.DataFrame, simulate: dict, rng: np.random.Generator
) -> pd.DataFrame:
    """Draw the guide and the state of every cell.

    Natural axes are standard normal in control cells; novel axes are 0 there. A guide shifts only
    the cells that it affects (penetrance).

    Parameters
    ----------
    density
        Standardised local density, (cell,).
    effects
        One row per guide, see `mcvae_ops.simulate.library.draw_guides`.
    simulate
        Section ``simulate`` of the configuration.
    rng
        Source of the draws.

    Returns
    -------
    One row per cell: guide, gene, is_ntc, is_affected, is_mitotic, density and the axes.
    """
    n = len(density)
    carried = effects.iloc[draw_guide_rows(n, effects["is_ntc"], simulate["library"], rng)]
    is_affected = rng.uniform(size=n) < carried["penetrance"].to_numpy()
    size = np.array([simulate["cell"]["shift_size"] if a in NATURAL_AXES else 1.0 for a in AXES])
    levels = carried[EFFECTS].to_numpy() * size * is_affected[:, None]
    levels[:, : len(NATURAL_AXES)] += rng.standard_normal((n, len(NATURAL_AXES)))
    cells = pd.DataFrame(levels, columns=list(AXES))
    cells[list(AXES[len(NATURAL_AXES) :])] = cells[list(AXES[len(NATURAL_AXES) :])].clip(lower=0)
    threshold = ndtri(1 - simulate["cell"]["mitotic_fraction"])
    names = carried[["guide", "gene", "is_ntc"]].reset_index(drop=True)
    state = {"is_affected": is_affected, "is_mitotic": cells["mitosis"] > threshold}
    return names.assign(**state, density=density).join(cells)


def guides_of_well(effects: pd.DataFrame, wells: Sequence[str], well: str) -> pd.DataFrame:
    """Return the guides of one well of an arrayed plate: those of one gene, or the controls.

    The first well of every four holds controls. Genes fill the others in the order of the library,
    and begin again where wells are left, so that all plates with the same wells are alike.

    Parameters
    ----------
    effects
        As of `draw_cells`.
    wells, well
        All wells of the plate, in order; and one of them.
    """
    place = wells.index(well)
    if place % _WELLS_PER_CONTROL == 0:
        return effects[effects["is_ntc"]]
    genes = effects.loc[~effects["is_ntc"], "gene"].unique()
    gene = genes[(place - place // _WELLS_PER_CONTROL - 1) % len(genes)]
    return effects[effects["gene"] == gene]


def draw_guide_rows(
    n: int, is_ntc: pd.Series, library: dict, rng: np.random.Generator
) -> np.ndarray:
    """Draw the row of the guide that each of `n` cells carries.

    Where the guides are all controls, or none is, each is as likely as any other.
    """
    if is_ntc.nunique() == 1:
        return rng.integers(len(is_ntc), size=n)
    controls, targeting = np.flatnonzero(is_ntc), np.flatnonzero(~is_ntc)
    is_control = rng.uniform(size=n) < library["control_fraction"]
    return np.where(is_control, rng.choice(controls, n), rng.choice(targeting, n))


def call_cells(
    cells: pd.DataFrame, guides: pd.DataFrame, calls: dict, rng: np.random.Generator
) -> pd.DataFrame:
    """Return the cells as sequencing and a classifier of stages call them, with errors.

    Parameters
    ----------
    cells
        Planted cells: guide, is_mitotic, y_px, x_px and any other columns.
    guides
        Guide and gene of the whole library; two guides or more.
    calls
        Section ``simulate.calls`` of the configuration.
    rng
        Source of the draws.

    Returns
    -------
    The called cells, with the called guide, gene, stage ("interphase" or "mitotic") and position.
    """
    n = len(cells)
    wrong_guide, wrong_stage, uncalled = (
        rng.uniform(size=n) < calls[f"{kind}_fraction"]
        for kind in ("wrong_guide", "wrong_stage", "uncalled")
    )
    names = pd.Index(guides["guide"])
    other = names.get_indexer(cells["guide"]) + rng.integers(1, len(names), size=n)
    called = np.where(wrong_guide, names[other % len(names)], cells["guide"])
    jitter = rng.normal(0, calls["position_sd_px"], (n, 2))
    stage = np.where(cells["is_mitotic"] ^ wrong_stage, "mitotic", "interphase")
    return cells.assign(
        guide=called,
        gene=guides.set_index("guide").loc[called, "gene"].to_numpy(),
        stage=stage,
        y_px=cells["y_px"] + jitter[:, 0],
        x_px=cells["x_px"] + jitter[:, 1],
    )[~uncalled]
