"""Controls that are given the salient state of a gene, in colour: pictures for the explorer."""

import base64
import io
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.colors import to_rgb
from PIL import Image

from mcvae_ops.benchmarks.counterfactuals import SHOWN_CELLS
from mcvae_ops.figures.draw import read_tables
from mcvae_ops.figures.figs_counterfactuals import KINDS, SHOWN, use_of_s

GAP_PX, MAGNIFIED = 2, 2
POWER = 3  # models see the arcsinh of counts, in which dim parts are bright; crops show counts


def counterfactual_pictures(paths: Sequence[str], channels: Sequence[dict]) -> dict[str, dict]:
    """Return what the page shows of each gene of Fig. S8.

    Parameters
    ----------
    paths
        Tables of the main model: counterfactuals, counterfactual_cells, metrics; none where a run
        has no such cells.
    channels
        Channels of the screen: name and colour.

    Returns
    -------
    Gene -> pictures (data URIs of PNGs: `SHOWN_CELLS` of each kind, in the order of `KINDS`), and
    words (what a blind classifier says of them).
    """
    if not paths:
        return {}
    tables = read_tables(paths)
    called, use = tables["counterfactuals"], use_of_s(tables["metrics"])
    return {
        gene: {
            "pictures": [_data_uri(one) for one in coloured(cells, channels).values()],
            "words": f"{classified(called[called['item'] == gene])} {use}",
        }
        for gene, cells in tables["counterfactual_cells"].groupby("gene", sort=False)
    }


def coloured(cells: pd.DataFrame, channels: Sequence[dict]) -> dict[str, np.ndarray]:
    """Return the cells of each kind side by side, uint8 (y, x, colour).

    Each channel is scaled to the real cells of the gene and of the controls, as in Fig. S8.

    Parameters
    ----------
    cells
        Pixels of one gene: kind, cell, channel, y, x, value.
    channels
        Name and colour of each channel.
    """
    size = int(cells["x"].max()) + 1
    width = (size + GAP_PX) * SHOWN_CELLS - GAP_PX
    sheets = {kind: np.zeros((size, width, 3)) for kind in KINDS}
    cells = cells[cells["kind"].isin(KINDS)]
    for name, here in cells.groupby("channel"):
        colour = to_rgb(next(one["colour"] for one in channels if one["name"] == name))
        low, high = np.percentile(here.loc[here["kind"].isin(["control", "gene"]), "value"], SHOWN)
        grey = np.clip((here["value"] - low) / max(high - low, 1e-6), 0, 1)
        x = here["x"] + here["cell"] * (size + GAP_PX)
        for kind, rows in here.groupby("kind"):
            place = rows["y"], x[rows.index]
            sheets[kind][place] += grey[rows.index].to_numpy()[:, None] ** POWER * colour
    return {kind: (255 * np.minimum(sheet, 1)).astype(np.uint8) for kind, sheet in sheets.items()}


def classified(called: pd.DataFrame) -> str:
    """Say how often a blind classifier takes cells for the gene, in a sentence.

    Parameters
    ----------
    called
        Rows of one gene: against (the kind of cells), value, low, high.
    """
    share = called.set_index("against")
    given = share.loc["affected"]
    return (
        f"A classifier that has seen real cells alone takes {given['value']:.0%} "
        f"({given['low']:.0%} to {given['high']:.0%}) of controls with s of an affected cell "
        f"for the gene, {share.loc['control', 'value']:.0%} of controls as they are, "
        f"{share.loc['gene_affected', 'value']:.0%} of its affected cells (the fifth that lies "
        f"furthest from controls in s) and {share.loc['gene', 'value']:.0%} of all its cells."
    )


def _data_uri(pixels: np.ndarray) -> str:
    picture = Image.fromarray(pixels).resize(
        (pixels.shape[1] * MAGNIFIED, pixels.shape[0] * MAGNIFIED), Image.Resampling.NEAREST
    )
    buffer = io.BytesIO()
    picture.save(buffer, "png")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
