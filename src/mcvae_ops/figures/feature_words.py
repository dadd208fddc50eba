"""Describe in words what a classical feature measures, from its name.

Two naming schemes are known: that of cp-measure, which is the scheme of CellProfiler
(``AF750_Intensity_MeanIntensity``), and that of the features published with the screen of the paper
(``cell_phalloidin_mean``).
"""

import re
from collections.abc import Sequence

TEXTURES = {  # Haralick et al. 1973, doi:10.1109/TSMC.1973.4309314, in their order
    "angular_second_moment": "uniformity",
    "contrast": "contrast",
    "correlation": "correlation of neighbours",
    "variance": "variance",
    "inverse_difference_moment": "smoothness",
    "sum_average": "mean brightness of pairs",
    "sum_variance": "variance of the sum of pairs",
    "sum_entropy": "entropy of the sum of pairs",
    "entropy": "entropy",
    "difference_variance": "variance of the difference of pairs",
    "difference_entropy": "entropy of the difference of pairs",
    "info_meas1": "information shared by neighbours (1)",
    "info_meas2": "information shared by neighbours (2)",
}
AMOUNTS = {
    "integrated": "total", "int": "total", "mean": "mean", "std": "standard deviation of",
    "min": "smallest", "max": "largest", "median": "median", "mad": "median absolute deviation of",
    "lower_quartile": "lower quartile of", "upper_quartile": "upper quartile of",
}  # fmt: skip
OF_SHAPE = {
    "centroid_[rc]": "position of the centre",
    "(?:bounding_box_|convex_|filled_)?area": "area",
    "equivalent_diameter": "diameter of a disc of this area",
    "perimeter(?:_crofton)?": "length of the outline",
    "(?P<which>major|minor)_axis(?:_length)?": "length of the {which} axis",
    "eccentricity": "elongation: 0 for a disc, 1 for a line",
    "orientation": "angle of the long axis",
    "form_factor": "roundness: area over squared outline",
    "compactness": "raggedness: squared outline over area",
    "extent": "share of the bounding box that is filled",
    "solidity": "share of the convex hull that is filled",
    "euler_number": "parts minus holes",
    "(?P<which>maximum|max|mean|median)_radius": "{which} distance of a pixel from the outline",
    "(?P<which>min|max)_feret_diameter": "{which}imum width between parallel lines",
    "(?:spatial|central|normalized)_moment_.*": "moment of the shape",
    "hu_moments?_.*": "moment of the shape, invariant to rotation and size",
    "inertia_tensor(?:_eigenvalues)?_.*": "spread of the area about its centre",
    "zernike_.*": "Zernike moment: symmetry of the shape",
    "number_neighbors_.*": "number of neighbours",
    "percent_touching_.*": "share of the outline that touches neighbours",
    "(?P<which>first|second)_neighbor_distance": "distance to the {which} neighbour",
    "angle_between_neighbors": "angle between the two nearest neighbours",
}
AMOUNT = f"(?P<amount>{'|'.join(AMOUNTS)})(?:_intensity)?(?P<edge>_edge)?"
RING = r"_(?P<ring>\d)(?:of\d)?"
HARALICK = rf"(?P<texture>{'|'.join(TEXTURES)})_(?P<step>\d+)_\d+_\d+"
TEXTURE = "texture of {a} at {step} px: {texture}"
OF_CHANNEL = {
    "(?:intensity_)?mass_displacement": "distance of {a}'s centre from the shape's",
    f"(?:intensity_)?{AMOUNT}": "{amount} {a}{edge}",
    f"(?:radial_distribution_)?frac_at_d{RING}": "share of {a} in ring {ring} from the centre",
    f"(?:radial_distribution_)?mean_frac{RING}": "{a} per area in ring {ring} from the centre",
    f"(?:radial_distribution_)?radial_cv{RING}": "unevenness of {a} around ring {ring}",
    r"haralick_(?P<step>\d+)_(?P<texture>\d+)": TEXTURE,
    HARALICK: TEXTURE,
    "pftas_.*": "texture of {a}: neighbours above a threshold",
    "weighted_hu_moments_.*": "moment of {a}, invariant to rotation and size",
    "(?:center_mass|max_location)_[rc]": "position of {a} in the image",
    "foci_(?P<which>count|area)": "{which} of {a} foci",
}  # fmt: skip
OF_PAIR = {
    "correlation(?:_pearson)?": "correlation of {a} and {b} over pixels",
    "(?:correlation|lstsq)_slope": "slope between {a} and {b} over pixels",
    "manders": "share of {a} where there is {b} (Manders)",
    "rwc": "share of {a} where there is {b}, weighted by rank",
    "overlap": "overlap of {a} and {b}",
    "k": "overlap of {a} and {b}, relative to {a}",
}
REGIONS = ("cell", "nucleus", "cytoplasm")


def describe(feature: str, channels: Sequence[dict]) -> str:
    """Return a description of a feature, or "" if its naming scheme is unknown.

    Parameters
    ----------
    feature
        Name of the feature.
    channels
        name and stain of each channel of the screen. Unknown channel names are kept.
    """
    for k, channel in enumerate(channels):
        bounded = rf"(?<![A-Za-z0-9]){re.escape(channel['name'])}(?![A-Za-z0-9])"
        feature = re.sub(bounded, f"stain{k}", feature, flags=re.IGNORECASE)
    name = re.sub("(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", feature).lower()
    region, _, rest = name.partition("_")
    name = rest if region in REGIONS else name
    suffix = f", {region}" if region in REGIONS[1:] else ""
    a, b = "(?P<a>[^_]+)", "(?P<b>[^_]+)"
    for table, forms in (
        (OF_SHAPE, ["{}"]),
        (OF_CHANNEL, [f"{a}_{{}}"]),
        (OF_PAIR, [f"{a}_{b}_{{}}", f"{{}}_{a}_{b}"]),
    ):
        for pattern, words in table.items():
            for form in forms:
                if match := re.fullmatch(form.format(pattern), name):
                    return words.format(**_words(match.groupdict(), channels)) + suffix
    return ""


def _words(parts: dict[str, str | None], channels: Sequence[dict]) -> dict[str, str]:
    stains = {f"stain{k}": channel["stain"] for k, channel in enumerate(channels)}
    words = {key: stains.get(value, value) for key, value in parts.items()}
    if "amount" in parts:
        words["amount"] = AMOUNTS[parts["amount"]]
        words["edge"] = " at the edge" if parts["edge"] else ""
    if "texture" in parts:
        named = list(TEXTURES.values())
        number = parts["texture"]
        words["texture"] = named[int(number)] if number.isdigit() else TEXTURES[number]
    return words
