"""
Fig. 1: the networks of the main model, and the plates of the screen.

TABLES
    none: drawn from the configuration
"""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyBboxPatch, Rectangle

from mcvae_ops.figures import style
from mcvae_ops.figures.layers import Layer, build_model, decoder_layers, encoder_layers
from mcvae_ops.figures.plate_maps import draw_plates, draw_well
from mcvae_ops.figures.source_data import RUN, drawn
from mcvae_ops.models.family import SPACES
from mcvae_ops.models.networks import n_parameters
from mcvae_ops.screen import tile_numbers, tile_shape

LAYER_COLOURS = {  # class of the layer -> colour, name
    "Conv2d": ("#9CC3E6", "convolution"),
    "ConvTranspose2d": ("#F3C58B", "transposed convolution"),
    "Linear": ("#B9BDC2", "linear"),
}
TALLEST, STEP, BLOCK = 16.0, 6.6, 3.6  # in units of the drawing, which is 110 units wide
WIDE = 6  # layers of a network that fit at full width; more layers are drawn narrower
LANES = {"z": 12.5, "s": -12.5, "t": 0.0}  # y of the axis of each encoder; the decoder is at 0


def fig1(tables: dict, published: dict, settings: dict) -> tuple[Figure, pd.DataFrame]:
    """Draw the networks of the main model, the model family, plates, one well and channels."""
    main, screen = settings["profiles"]["main_model"], settings["screen"]
    figure = style.new_figure(11.5, 7.8)
    grid = figure.add_gridspec(2, 3, height_ratios=[1.5, 1], width_ratios=[1.25, 0.8, 1.5])
    model = build_model(settings, main)
    layers = _draw_model(figure.add_subplot(grid[0, :]), model, settings, main)
    draw_plates(figure.add_subplot(grid[1, 0]), screen["plates"])
    draw_well(figure.add_subplot(grid[1, 1]), screen["well_grid"])
    family = _family(settings)
    _draw_tables(figure.add_subplot(grid[1, 2]), family, screen)
    n_wells = sum(len(wells) for wells in screen["plates"].values())
    n_tiles = len(tile_numbers(screen["tiles"]))
    note = (
        f"Screen {screen['name']}: {style.counted(len(screen['plates']), 'plates')}, "
        f"{style.counted(n_wells, 'wells')}, {style.counted(n_tiles, 'tiles')} per well"
        f"{_size_of_tiles(screen)}. Networks: the number "
        "above a layer is its number of channels (or features), the number below it its edge in "
        "px; each network lists what follows its layers. Parameter counts exclude label means and "
        "head."
    )
    style.finish(
        figure, "fig1", f"{style.model_name(main)} and the screen “{screen['name']}”", note
    )
    return figure, drawn((RUN, layers), (RUN, family))


def _size_of_tiles(screen: dict) -> str:
    if screen["tile_size_px"] is None:  # of crops that were given
        return ""
    size_px = " x ".join(map(str, tile_shape(screen["tile_size_px"])))
    per_pixel = f" at {screen['pixel_size_um']:g} µm" if screen["pixel_size_um"] else ""
    return f" of {size_px} px{per_pixel}"


def _draw_model(axes: Axes, model, settings: dict, main: str) -> pd.DataFrame:
    """Draw encoders, latent spaces and decoder; return the drawn layers."""
    channels = settings["screen"]["channels"]
    input_px = model.settings.input_size_px
    networks = model.encoders()
    spread = max(len(networks) - 1, 1)  # a third encoder needs space between the other two
    half = 12.0 + LANES["z"] * spread
    encoders = {symbol: networks[symbol] for symbol in LANES if symbol in networks}
    parts = {
        f"{SPACES[symbol]} encoder": encoder_layers(encoder, model.settings)
        for symbol, encoder in encoders.items()
    }
    parts["decoder"] = decoder_layers(model)
    longest = max(len(layers) for part, layers in parts.items() if part != "decoder")
    step = STEP * min(1.0, WIDE / max(map(len, parts.values())))
    room = (STEP - step) / 2  # the numbers of narrow layers are wider than the layers
    axes.set(xlim=(-7, 115 + 2 * room), ylim=(-half, half), aspect="equal")
    style.bare(axes)
    latent_x = 8 + step * longest + 1.5 + room
    _draw_image(axes, -1.5, 0, channels, input_px)
    for symbol in encoders:
        space = SPACES[symbol]
        y = spread * LANES[symbol] if len(encoders) > 1 else 0
        layers = parts[f"{space} encoder"]
        _draw_layers(axes, 8, y, layers, input_px, step)
        _caption(axes, 8, y, f"{space} encoder", layers)
        _arrow(axes, (4.4, 0), (7.2, y))
        _draw_latent(axes, latent_x, y, symbol, model)
        _arrow(axes, (latent_x + 3.0, y), (latent_x + 10.2, 0))
    _draw_layers(axes, latent_x + 11, 0, parts["decoder"], input_px, step)
    _caption(axes, latent_x + 11, 0, "decoder", parts["decoder"])
    end = latent_x + 11 + step * len(parts["decoder"])
    _draw_image(axes, end + 6 + room, 0, channels, input_px)
    for i, (colour, name) in enumerate(LAYER_COLOURS.values()):
        axes.add_patch(Rectangle((84, 20 - 3.8 * i), 2.6, 2.6, fc=colour, ec=style.INK, lw=0.6))
        axes.text(88, 21.3 - 3.8 * i, name, va="center", fontsize=9)
    rows = [
        {"part": part, "layer": i, **vars(layer)}
        for part, layers in parts.items()
        for i, layer in enumerate(layers)
    ]
    return pd.DataFrame(rows)


def _draw_layers(
    axes: Axes, x: float, y: float, layers: list[Layer], input_px: int, step: float
) -> None:
    block = BLOCK * step / STEP
    for i, layer in enumerate(layers):
        is_image = len(layer.shape) == 3
        height = TALLEST * (layer.shape[-1] / input_px) ** 0.5 if is_image else 9.0
        width = block if is_image else block * 0.45
        left = x + step * i + (block - width) / 2
        colour = LAYER_COLOURS[layer.kind][0]
        axes.add_patch(
            Rectangle((left, y - height / 2), width, height, fc=colour, ec=style.INK, lw=0.8)
        )
        if step < STEP and i and layers[i - 1].shape == layer.shape:
            continue  # narrow layers have no room for the number of every layer
        middle = left + width / 2
        axes.text(middle, y + height / 2 + 0.7, str(layer.shape[0]), ha="center", fontsize=8)
        if is_image:
            edge = f"{layer.shape[-1]} px"
            axes.text(middle, y - height / 2 - 0.9, edge, ha="center", va="top", fontsize=7)


def _caption(axes: Axes, x: float, y: float, name: str, layers: list[Layer]) -> None:
    total = sum(layer.n_parameters for layer in layers)
    follows = " · ".join(dict.fromkeys(layer.followed_by for layer in layers if layer.followed_by))
    half = TALLEST / 2 if name == "decoder" else TALLEST * 0.36
    axes.text(x, y + half + 3, name, fontsize=9.5, fontweight="bold")
    gap = " " if len(layers) <= WIDE else "\n"
    text = f"{total:,} parameters;{gap}{follows}"
    axes.text(x, y - half - 3, text, fontsize=8, color=style.FAINT, va="top")


def _draw_latent(axes: Axes, x: float, y: float, symbol: str, model) -> None:
    colour = style.SPACE_COLOURS[SPACES[symbol]]
    size = model.settings.latent()[symbol]
    box = FancyBboxPatch(
        (x - 2.2, y - 4), 4.4, 8, boxstyle="round,pad=0.4", fc="white", ec=colour, lw=2
    )
    axes.add_patch(box)
    axes.text(x, y, f"{symbol}\n{size}", ha="center", va="center", color=colour, fontsize=11)
    of = "batch" if symbol == "t" else "label"
    mean = "0" if getattr(model, f"prior_{symbol}") is None else f"$\\mu_{symbol}$[{of}]"
    # On the axis of the decoder, layers are on both sides: only the space below the box is free.
    if y:
        gap, corner = " ", (x - 2.2, y + (5.3 if y > 0 else -5.3))
    else:
        gap, corner = "\n", (x + 2.6, -5.7)
    text = f"prior{gap}N({mean}, I)" + ("\nNTC: s = 0" if symbol == "s" else "")
    place = {"ha": "left" if y else "right", "va": "bottom" if y > 0 else "top"}
    axes.text(*corner, text, fontsize=8.5, color=colour, parse_math=True, **place)


def _draw_image(axes: Axes, x: float, y: float, channels: list[dict], input_px: int) -> None:
    size = 7.5
    for i, channel in enumerate(reversed(channels)):
        shift = 1.1 * (len(channels) - 1 - i)
        corner = (x - size / 2 + shift - 1.6, y - size / 2 + shift - 1.6)
        axes.add_patch(Rectangle(corner, size, size, fc="#15181c", ec=channel["colour"], lw=1.6))
        centre = (corner[0] + size / 2, corner[1] + size / 2)
        axes.add_patch(Circle(centre, 2.3, fc=channel["colour"], alpha=0.85, lw=0))
    label = f"{len(channels)} × {input_px} × {input_px}"
    axes.text(x, y - 8, label, ha="center", va="top", fontsize=8)


def _arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    arrow = {"arrowstyle": "-|>", "color": style.FAINT, "lw": 1.2, "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", end, start, arrowprops=arrow)


def _family(settings: dict) -> pd.DataFrame:
    """Return one row per configured model: latent sizes, label priors, head, parameters."""
    rows = []
    for name, entry in settings["models"].items():
        model = build_model(settings, name)
        of_labels = (model.prior_s, model.prior_z, model.label_head)
        row = {key: value for key, value in entry.items() if key != "training"}
        row |= {"label_head": model.label_head is not None}
        networks = n_parameters(model) - sum(n_parameters(part) for part in of_labels if part)
        rows.append({"part": "family", "model": name, **row, "n_parameters": networks})
    return pd.DataFrame(rows)


def _draw_tables(axes: Axes, family: pd.DataFrame, screen: dict) -> None:
    """Draw the model family and the channels as two small tables."""
    style.bare(axes)
    axes.set(xlim=(0, 1), ylim=(1, 0))
    columns = [0.0, 0.36, 0.44, 0.52, 0.61, 0.7, 1.0]
    heads = ["model", "s", "z", "$\\mu_s$", "$\\mu_z$", "head", "parameters"]
    lines = [heads] + [
        [
            style.model_name(row.model),
            str(row.salient_latent),
            str(row.background_latent),
            "yes" if row.prior_s_per_label else "–",
            "yes" if row.prior_z_per_label else "–",
            "yes" if row.label_head else "–",
            f"{row.n_parameters:,}",
        ]
        for row in family.itertuples()
    ]
    step = 1 / (len(lines) + len(screen["channels"]) + 1.8)
    for i, line in enumerate(lines):
        for x, text in zip(columns, line, strict=True):
            axes.text(
                x,
                step * (i + 0.5),
                text,
                fontsize=9,
                va="center",
                ha="right" if x == 1 else "left",
                fontweight="bold" if i == 0 else "normal",
                parse_math=i == 0,
            )
    axes.axhline(step, color=style.INK, lw=0.8)
    for i, channel in enumerate(screen["channels"]):
        y = step * (len(lines) + i + 1.3)
        axes.plot([0.02], [y], "s", color=channel["colour"], ms=9, mec=style.INK, mew=0.5)
        axes.text(0.07, y, f"{channel['name']}: {channel['stain']}", fontsize=9, va="center")
