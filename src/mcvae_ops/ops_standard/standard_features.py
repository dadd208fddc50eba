"""Classical features under the names of the standard, and ``feature_definitions.csv``.

Known are the names of CellProfiler and cp-measure (``AF750_Intensity_MeanIntensity``,
``Nuclei_AreaShape_Area``) and those of the paper's table (``nucleus_dapi_mean``).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from mcvae_ops.figures.feature_words import describe

COMPARTMENTS = {"cell": "cell", "cells": "cell", "nucleus": "nucleus", "nuclei": "nucleus"}
_OTHERS = {"cytoplasm": "cytoplasm", "cyto": "cytoplasm"}
# Of each measurement of the standard, how its name may read without compartment and channel.
SHAPE = {
    "area": "area",
    "eccentricity": "eccentricity",
    "form_factor": "form_?factor",
    "solidity": "solidity",
}
INTENSITY = {
    "mean": "mean(?:_intensity)?",
    "integrated": "(?:integrated|int)(?:_intensity)?",
    "mass_displacement": "mass_displacement",
    "mean_edge": "mean(?:_intensity)?_edge",
    "std_edge": "std(?:_intensity)?_edge",
    "mean_frac_0": "mean_frac_(?:0|1of4)",
    "mean_frac_3": "mean_frac_(?:3|4of4)",
}
CORRELATION = "(?:correlation_|colocalization_)?(?:correlation|pearson)"
_CATEGORY = "(?:area_?shape_|intensity_|radial_distribution_)?"  # CellProfiler's module
_TEXTURE = (
    "texture|haralick|pftas|angular_second_moment|contrast|entropy|info_meas|variance_|"
    "inverse_difference|sum_average|correlation_\\d"
)


@dataclass(frozen=True)
class StandardFeature:
    """A feature of the standardised set.

    Attributes
    ----------
    feature_id, feature_name
        Its names, for programs and for people.
    feature_type
        shape, intensity or correlation.
    compartment
        cell or nucleus.
    """

    feature_id: str
    feature_name: str
    feature_type: str
    compartment: str


@dataclass(frozen=True)
class _Parts:
    """The name of a feature taken apart: compartment, channels, and the rest in snake case."""

    compartment: str | None
    channels: tuple[str, ...]
    rest: str


def standard_feature(feature: str, channels: Sequence[dict]) -> StandardFeature | None:
    """Return what a feature is called in the standard; None if it is none of its set.

    Parameters
    ----------
    feature
        Name in the tables of the screen. A name without a compartment is of the cell.
    channels
        name and stain of each channel; a feature may go by either.
    """
    parts = _taken_apart(feature, channels)
    compartment = parts.compartment or "cell"
    if compartment not in COMPARTMENTS.values():
        return None
    match len(parts.channels):
        case 0:
            kind, known = "shape", SHAPE
        case 1:
            kind, known = "intensity", INTENSITY
        case _:
            kind, known = "correlation", {"correlation": CORRELATION}
    for name, pattern in known.items():
        if re.fullmatch(_CATEGORY + pattern, parts.rest):
            words = [compartment, *parts.channels, name]
            if kind == "correlation":
                words = [compartment, name, *sorted(parts.channels)]
            spoken = " ".join(word if word in parts.channels else word.replace("_", " ").title()
                              for word in words)  # fmt: skip
            return StandardFeature("_".join(words), spoken, kind, compartment)
    return None


def standard_columns(
    features: Sequence[str], channels: Sequence[dict]
) -> dict[str, StandardFeature]:
    """Return the features of a screen that belong to the standardised set, in its order.

    Where two columns are the same feature, the first is taken.
    """
    found: dict[str, tuple[str, StandardFeature]] = {}
    for name in features:
        standard = standard_feature(name, channels)
        if standard is not None:
            found.setdefault(standard.feature_id, (name, standard))
    return {name: standard for name, standard in found.values()}


def feature_definitions(features: Sequence[str], channels: Sequence[dict]) -> pd.DataFrame:
    """Return the table of all features: those of the standardised set, then the screen's own.

    Parameters
    ----------
    features
        Names in the tables of the screen.
    channels
        name and stain of each channel.
    """
    rows = []
    for own, standard in standard_columns(features, channels).items():
        of_channel = _taken_apart(own, channels).channels
        channel = of_channel[0] if len(of_channel) == 1 else ""
        rows.append((standard.feature_id, standard.feature_name, standard.feature_type,
                     standard.compartment, channel))  # fmt: skip
    known = {row[0] for row in rows}
    for own in features:
        if own not in known:
            parts = _taken_apart(own, channels)
            channel = parts.channels[0] if len(parts.channels) == 1 else ""
            spoken = describe(own, channels) or own
            rows.append((own, spoken, _type_of(parts), parts.compartment or "", channel))
    columns = ["feature_id", "feature_name", "feature_type", "compartment", "channel"]
    return pd.DataFrame(rows, columns=columns)


def _type_of(parts: _Parts) -> str:
    """Return the category of a feature, one of the six of the standard."""
    if re.search(_TEXTURE, parts.rest) and len(parts.channels) < 2:
        return "texture"
    if "granularity" in parts.rest:
        return "granularity"
    return ("shape", "intensity", "correlation")[min(len(parts.channels), 2)]


def _taken_apart(feature: str, channels: Sequence[dict]) -> _Parts:
    called = {alias: channel["name"] for channel in channels for alias in _aliases(channel)}
    found = {}
    # Longer names first: DAPI_2 is not DAPI.
    for alias in sorted(called, key=len, reverse=True):
        bounded = rf"(?<![A-Za-z0-9]){re.escape(alias)}(?![A-Za-z0-9])"
        if match := re.search(bounded, feature, flags=re.IGNORECASE):
            found.setdefault(called[alias], match.start())
            feature = feature[: match.start()] + "\x00" * len(alias) + feature[match.end() :]
    snake = re.sub("(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", feature).lower()
    words = [word for word in re.split("[\x00_]+", snake) if word]
    where = next((word for word in words if word in COMPARTMENTS | _OTHERS), None)
    if where is not None:
        words.remove(where)
    compartment = (COMPARTMENTS | _OTHERS).get(where)
    return _Parts(compartment, tuple(sorted(found, key=found.get)), "_".join(words))


def _aliases(channel: dict) -> set[str]:
    """Return what a table may call a channel: ``GFP``, alpha-tubulin, tubulin, atubulin."""
    greek, _, stain = channel["stain"].rpartition("-")
    return {channel["name"], channel["stain"], stain, greek[:1] + stain} - {""}
