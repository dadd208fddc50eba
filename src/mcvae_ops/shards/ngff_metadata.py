"""What the metadata of an image say in NGFF, the format behind OME-Zarr: axes, lengths, channels.

https://ngff.openmicroscopy.org/0.5/ and /0.4/. In 0.5 (Zarr 3) all of it stands below ``ome``; in
0.4 (Zarr 2) it stands at the top, and each part says its version.
"""

from collections.abc import Mapping, Sequence

import numpy as np

ZARR_FORMAT = {"0.4": 2, "0.5": 3}
WINDOW = (1.0, 99.8)  # percentiles of a channel: black and full colour
_KINDS = {"t": "time", "c": "channel"}  # of an axis; the others are space


def stamped(attributes: Mapping[str, object], version: str) -> dict:
    """Return the attributes of a group as a version of NGFF has them."""
    if version == "0.4":
        return {
            key: _with_version(value, version) if key != "labels" else value
            for key, value in attributes.items()
        }
    return {"ome": {"version": version, **attributes}}


def multiscale(
    name: str, axes: str, pixel_size_um: float | None, time_unit: str | None = None
) -> dict:
    """Return the description of an image of one resolution, the array ``0``.

    Parameters
    ----------
    name
        Name of the image.
    axes
        Letters of its axes, of t, c, z, y, x, as they are to be called.
    pixel_size_um
        Edge of a pixel; None where it is not known: lengths are px then, without a unit.
    time_unit
        Of the axis t; None where it is no time.
    """
    units = {"space": "micrometer" if pixel_size_um else None, "time": time_unit}
    described = []
    for axis in axes:
        kind = _KINDS.get(axis.lower(), "space")
        unit = {"unit": units[kind]} if units.get(kind) else {}
        described.append({"name": axis, "type": kind} | unit)
    lengths = [pixel_size_um or 1.0 if axis in "yxYX" else 1.0 for axis in axes]
    transformations = [{"type": "scale", "scale": lengths}]
    datasets = [{"path": "0", "coordinateTransformations": transformations}]
    return {"name": name, "axes": described, "datasets": datasets}


def omero(
    channels: Sequence[str], colours: Mapping[str, str], windows: Sequence[tuple[float, float]]
) -> dict:
    """Return how a viewer draws the channels.

    Parameters
    ----------
    channels
        Names along the channel axis.
    colours
        channel -> ``#rrggbb``.
    windows
        Counts that are black and in full colour, of each channel; see `window_of`.
    """
    drawn = []
    for channel, (low, high) in zip(channels, windows, strict=True):
        window = {"min": 0, "max": 65_535, "start": low, "end": high}
        colour = colours[channel].removeprefix("#")
        drawn.append({"label": channel, "color": colour, "active": True, "window": window})
    return {"channels": drawn, "rdefs": {"model": "color"}}


def window_of(counts: np.ndarray) -> tuple[float, float]:
    """Return the counts that are black and in full colour: percentiles `WINDOW`, not the same."""
    low, high = np.percentile(counts, WINDOW) if counts.size else (0, 1)
    return float(low), float(max(high, low + 1))


def _with_version(value: object, version: str) -> object:
    if isinstance(value, list):
        return [{"version": version, **item} for item in value]
    return {"version": version, **value}
