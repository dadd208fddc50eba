"""Crops that are given: what the first ones and the table of cells say of them."""

import numpy as np

from mcvae_ops.archive.patterns import well_name
from mcvae_ops.doctor.finding import Finding
from mcvae_ops.doctor.image_guess import brightness, read_tiff
from mcvae_ops.doctor.listing import Listing
from mcvae_ops.doctor.place_ranges import wells_as_text
from mcvae_ops.doctor.screen_guess import brightness_findings
from mcvae_ops.doctor.table_guess import TableFacts

_N_CROPS = 4


def crop_findings(
    cells: TableFacts, listing: Listing, name: str
) -> tuple[list[Finding], dict[str, set[str]], dict[str, str]]:
    """Return what crops say, the places that the table names, and how its texts are parsed.

    Parameters
    ----------
    cells
        The table, one of whose columns names a file for each cell.
    listing, name
        Of the address, and the name of the screen.
    """
    images = [_read(listing, path) for path in cells.rows[cells.roles["crop"]].dropna()[:_N_CROPS]]
    n_channels, height, width = images[0].shape
    places, parse = _places(cells)
    channels = [{"name": f"channel{k}", "index": k} for k in range(n_channels)]
    plates = {plate: wells_as_text(sorted(wells)) for plate, wells in places.items()}
    size = 2 * (min(height, width) // 2)
    findings = [
        Finding("screen.name", name, f"Results go to results/{name}."),
        Finding("screen.plates", plates, "As the first rows of the table of cells say.",
                "are these all plates and wells?"),
        Finding("archive.root", listing.root, "The address that was looked at."),
        Finding("screen.channels", channels, f"A crop has {n_channels} channels of {height} x "
                f"{width} px, {images[0].dtype}.", "what do they show? Write names and stains."),
        Finding("screen.pixel_size_um", None, "", "how large is a pixel, in um?"),
        Finding("crop.size_px", size, "As large as the crops are."),
        *brightness_findings(brightness([one for image in images for one in image])),
    ]  # fmt: skip
    wells = {well_name(well) for names in places.values() for well in names}
    return findings, {"plate": set(places), "well": wells, "tile": {"0"}}, parse


def _read(listing: Listing, path: str) -> np.ndarray:
    """Return a crop (channel, y, x)."""
    if path.lower().endswith(".npy"):
        with listing.opened(path) as handle:
            image = np.load(handle, allow_pickle=False)
        return image.reshape(-1, *image.shape[-2:])
    return np.stack(read_tiff(listing, path, -1).pixels)


def _places(cells: TableFacts) -> tuple[dict[str, set[str]], dict[str, str]]:
    """Return plates with their wells, and the text that is parsed for them."""
    rows, roles = cells.rows, cells.roles
    if "well" in roles:
        plates = rows[roles["plate"]] if "plate" in roles else ["plate1"] * len(rows)
        places: dict[str, set[str]] = {}
        for plate, well in zip(plates, rows[roles["well"]], strict=True):
            places.setdefault(plate, set()).add(well)
        return places, {}
    for column in rows:
        values = rows[column].dropna()
        found = values.str.extract(r"^([^_/]+)_([A-P]\d{1,2}|[Ww]ell\d+)_[^/]*$")
        if len(values) and found.notna().all(axis=None):
            pairs = set(zip(found[0], found[1], strict=True))
            places = {plate: {w for p, w in pairs if p == plate} for plate in set(found[0])}
            return places, {column: "{plate}_{well}_{*}"}
    return {"plate1": {"A1"}}, {}
