"""The style of all figures: sizes, colours, names, titles and notes."""

import colorsys
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import LogFormatter, LogFormatterMathtext, NullFormatter

from mcvae_ops.embeddings.spaces import BASELINES, UNTRAINED
from mcvae_ops.screen import reworded

BARS_UM = (1, 2, 5, 10, 20, 50, 100, 200)
INK, FAINT, GRID = "#222222", "#5f6368", "#e3e5e8"
# Okabe & Ito's palette, which stays distinct under colour blindness (jfly.uni-koeln.de/color).
PALETTE = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#CC79A7",
    "#D55E00",
    "#56B4E9",
    "#8C6D1F",
    "#4B3F72",
)
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "*")
SPACE_COLOURS = {
    "salient": "#7B3FA0",
    "background": "#D5402B",
    "combined": "#009E73",
    "technical": "#56B4E9",
}
# Not the blue and orange of the first plates, which stand beside them in Fig. 1 and 3A.
POSITION_COLOURS = {"centre": "#4B3F72", "edge": "#CC79A7"}
MODEL_COLOURS = {
    "vae": "#0072B2",
    "cvae": "#E69F00",
    "cvae_prior_s": "#CC79A7",
    "cvae_prior_z": "#8C6D1F",
    "mcvae": "#009E73",
    "mcvae_technical": "#56B4E9",
    "mcvae_normalised": "#66A61E",
    "dcvae": "#D55E00",
    "dcvae_head": "#4B3F72",
    "cellprofiler": "#6E6E6E",
    "whitened_cellprofiler": "#3A3A3A",
    "random": "#B0B0B0",
}
MODEL_NAMES = {
    "vae": "VAE",
    "cvae": "cVAE",
    "cvae_prior_s": "cVAE prior-s",
    "cvae_prior_z": "cVAE prior-z",
    "mcvae": "mcVAE",
    "mcvae_technical": "mcVAE technical",
    "mcvae_normalised": "mcVAE (batches normalised)",
    "dcvae": "dcVAE",
    "dcvae_head": "dcVAE (head alone)",
    "cellprofiler": "CellProfiler",
    "whitened_cellprofiler": "CellProfiler (whitened)",
    "random": "random",
    "density": "density alone",
    "position": "position alone",
    "cell_count": "cell count alone",
    "surroundings": "surroundings alone",
    "random_pixels": "random projection of pixels",
    "untrained": "untrained network",
}
_words: ContextVar[dict[str, str]] = ContextVar("words")  # ``screen.words`` of the screen
SETTINGS = {
    "font.family": "DejaVu Sans",
    "font.size": 10.0,
    "axes.titlesize": 10.5,
    "axes.titlepad": 6.0,
    "axes.labelsize": 10.0,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "xtick.labelsize": 9.0,
    "ytick.labelsize": 9.0,
    "xtick.color": INK,
    "ytick.color": INK,
    "text.color": INK,
    "text.parse_math": False,  # names may hold a $
    "lines.linewidth": 1.8,
    "legend.fontsize": 9.0,
    "legend.frameon": False,
    "legend.handlelength": 1.8,
    "figure.dpi": 100.0,
    "savefig.dpi": 200.0,
    "figure.facecolor": "white",
    "pdf.fonttype": 42,  # text stays text in an editor
    "svg.fonttype": "none",
    "svg.hashsalt": "mcvae-ops",  # otherwise element names are drawn at random
}


@contextmanager
def house(words: dict[str, str]) -> Iterator[None]:
    """Set the style and the words of the screen (``screen.words``) for figures in this context."""
    token = _words.set(words)
    try:
        with mpl.rc_context(SETTINGS):
            yield
    finally:
        _words.reset(token)


def model_colour(model: str) -> str:
    """Return the colour of a model in the paper, or a stable colour for another model."""
    return MODEL_COLOURS.get(model, PALETTE[sum(map(ord, model)) % len(PALETTE)])


def model_name(model: str) -> str:
    """Return the name of a model as the paper writes it."""
    return MODEL_NAMES.get(model, model)


def model_names(models: Sequence[str]) -> str:
    """Return the names of models in a sentence: ``cVAE, mcVAE and dcVAE``."""
    names = list(map(model_name, models))
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else names[0]


def space_colour(model: str, space: str) -> str:
    """Return the colour of a space, or that of a baseline, which has only one space."""
    return MODEL_COLOURS[model] if model in BASELINES else SPACE_COLOURS[space]


def space_name(model: str, space: str, models: Sequence[str] = ()) -> str:
    """Return the name of a space, with its model if several `models` are shown."""
    if model in BASELINES:
        return model_name(model)
    return f"{model_name(model)}, {space}" if len(models) > 1 else space


def group_styles(groups: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Return (colour, marker) of each group; up to 80 groups are distinct."""
    n = len(PALETTE)
    return {
        group: (PALETTE[i % n], MARKERS[(i // n) % len(MARKERS)]) for i, group in enumerate(groups)
    }


def batch_colours(batches: Sequence[str]) -> dict[str, str]:
    """Return the colour of each ``plate/well``: hue shows the plate, lightness the well."""
    plates = sorted({batch.rsplit("/", 1)[0] for batch in batches})
    colours = {}
    for i, plate in enumerate(plates):
        wells = sorted(batch for batch in batches if batch.rsplit("/", 1)[0] == plate)
        hue, _, saturation = colorsys.rgb_to_hls(*to_rgb(PALETTE[i % len(PALETTE)]))
        for j, batch in enumerate(wells):
            lightness = 0.25 + 0.5 * (j + 0.5) / len(wells)
            colours[batch] = mpl.colors.to_hex(colorsys.hls_to_rgb(hue, lightness, saturation))
    return colours


def text_on(colour: str) -> str:
    """Return a text colour that is readable on a colour."""
    red, green, blue = to_rgb(colour)
    return "white" if 0.299 * red + 0.587 * green + 0.114 * blue < 0.55 else INK


def new_figure(width_in: float, height_in: float) -> Figure:
    """Return an empty figure of this size in inch."""
    return Figure(figsize=(width_in, height_in), layout="constrained")


def worded(text: str) -> str:
    """Replace the words for genes, guides and controls by those of the screen (see `house`)."""
    return reworded(text, _words.get())


def finish(figure: Figure, panel: str, title: str, note: str) -> None:
    """Add panel letter, title and note; use the words of the screen, save for tick labels.

    Matplotlib makes tick labels anew when it draws, from the text that `Axes.set_xticks` was given:
    prose there passes `worded` beforehand. Most are names of the data, which stay as they are.
    """
    letter = panel.removeprefix("fig").upper()
    x_in, width_in = 0.08, figure.get_figwidth()
    figure.suptitle(
        f"{letter}    {title}", x=x_in / width_in, ha="left", fontsize=12.5, fontweight="bold"
    )
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            # Its formatter writes 10 as $10^1$, which is text here: see `text.parse_math` above.
            if isinstance(axis.get_major_formatter(), LogFormatterMathtext):
                axis.set_major_formatter(LogFormatter())
                axis.set_minor_formatter(NullFormatter())
    below = figure.supxlabel(note, x=x_in / width_in, ha="left", fontsize=8.0, color=FAINT)
    for text in figure.findobj(Text):
        text.set_text(worded(text.get_text()))
    lines, n_letters = below.get_text().split("\n"), int(17.5 * width_in)
    below.set_text("\n".join(textwrap.fill(line, n_letters) for line in lines))
    while below.get_window_extent().x1 > figure.bbox.x1:  # lines of wide letters
        n_letters -= 1
        below.set_text("\n".join(textwrap.fill(line, n_letters) for line in lines))


def bare(axes: Axes, title: str = "") -> None:
    """Remove ticks, grid and frame, for axes without units."""
    axes.set(xticks=[], yticks=[])
    axes.set_title(title)
    axes.grid(False)
    for spine in axes.spines.values():
        spine.set_visible(False)


def scale_bar(axes: Axes, width_px: int, pixel_size_um: float | None) -> str:
    """Draw a bar of a round length at the lower left of an image.

    Parameters
    ----------
    axes
        Shows the image.
    width_px
        Of the image, or of the first of several; the bar is at most a third of it.
    pixel_size_um
        None if it is unknown: no bar is drawn.

    Returns
    -------
    What the note of the figure says of it.
    """
    if not pixel_size_um:
        return ""
    longest_um = width_px * pixel_size_um / 3
    length_um = max((um for um in BARS_UM if um <= longest_um), default=BARS_UM[0])
    start, below = 0.06 * width_px, max(axes.get_ylim()) - 0.08 * width_px
    end = start + length_um / pixel_size_um
    axes.plot([start, end], [below] * 2, color="white", lw=2, solid_capstyle="butt")
    return f" Bar: {length_um} µm."


def shown_pixel_um(settings: dict, width_px: int) -> float | None:
    """Return the edge of a pixel of a crop that is shown `width_px` wide; None if it is unknown.

    Models see whole crops, in fewer px.
    """
    pixel_size_um = settings["screen"]["pixel_size_um"]
    return pixel_size_um and pixel_size_um * settings["crop"]["size_px"] / width_px


def counted(n: int, unit: str) -> str:
    """Return a number with its unit: ``1,263 genes``, ``1 gene``."""
    return f"{n:,} {unit.removesuffix('s') if n == 1 else unit}"


def signed(value: float, digits: int) -> str:
    """Return a number with its sign; the minus sign is as long as a plus."""
    return f"{value:+.{digits}f}".replace("-", "−")


def bounds(low: float, high: float, digits: int, *, with_sign: bool = False) -> str:
    """Return a 95 % interval in words: ``0.10 to 0.32``, or that there is none."""
    if not np.isfinite(low):
        return "no interval, too few units"
    ends = [signed(end, digits) if with_sign else f"{end:.{digits}f}" for end in (low, high)]
    return " to ".join(ends)


def seeds_note(rows: pd.DataFrame) -> str:
    """Return the number of training seeds of rows of a benchmark table, and the seeds."""
    trained = rows[~rows["model"].isin(UNTRAINED) & (rows["seed"] >= 0)]
    seeds = sorted({int(seed) for seed in trained["seed"]})
    return f"{counted(len(seeds), 'training seeds')} ({', '.join(map(str, seeds))})"
