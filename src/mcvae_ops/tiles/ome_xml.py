"""OME-XML of a file that belongs to a set: which planes the file itself holds."""

from collections.abc import Iterator
from itertools import product
from xml.etree import ElementTree

from mcvae_ops.errors import TileError

Place = tuple[int, int, int]


def own_planes(description: str, name: str) -> dict[Place, int] | None:
    """Find the planes of an OME-TIFF file among those of the set that it describes.

    Every file of a set carries the description of the whole set (OME model 2016-06, "Multi-file
    OME-TIFF"): readers that follow it open the other files, or the first one in place of this one.

    Parameters
    ----------
    description
        OME-XML of the file.
    name
        Name of the file, which tells the file apart only where the description has no UUID.

    Returns
    -------
    {(t, c, z): page of the file}; None where the description names no other file.

    Raises
    ------
    TileError
        If the file holds planes of several images, or none.
    """
    root = ElementTree.fromstring(description)
    images = [pixels for pixels in root.iter() if _tag(pixels) == "Pixels"]
    elements = [element for pixels in images for element in _children(pixels, "TiffData")]
    own = [element for element in elements if _is_own(element, root.get("UUID"), name)]
    if len(own) == len(elements):
        return None
    owners = [pixels for pixels in images if any(element in own for element in pixels)]
    if len(owners) != 1:
        raise TileError(f"planes of {len(owners)} images of a set of OME-TIFF files, expected 1")
    planes: dict[Place, int] = {}
    for element in own:
        planes.update(_planes_of(element, owners[0]))
    return planes


def grid_of(planes: dict[Place, int]) -> tuple[tuple[int, int, int], list[int]]:
    """Return the lengths (t, c, z) of a set's own planes, and their pages in that order.

    Raises
    ------
    TileError
        If the planes leave places of that grid empty.
    """
    axes = [sorted(set(axis)) for axis in zip(*planes, strict=True)]
    places = list(product(*axes))
    if missing := len(places) - len(planes):
        raise TileError(f"{missing} of {len(places)} planes of the image lie in other files")
    return tuple(map(len, axes)), [planes[place] for place in places]


def _planes_of(element: ElementTree.Element, pixels: ElementTree.Element) -> Iterator:
    """Yield ((t, c, z), page) of a TiffData element: planes follow one another in the order."""
    order = pixels.get("DimensionOrder")[2:]
    size = {axis: int(pixels.get(f"Size{axis}")) for axis in order}
    first = {axis: int(element.get(f"First{axis}", 0)) for axis in order}
    page = int(element.get("IFD", 0))
    n_usual = size["T"] * size["C"] * size["Z"] if element.get("IFD") is None else 1
    n_all = size["T"] * size["C"] * size["Z"]
    n_planes = int(element.get("PlaneCount", n_usual))
    if not 0 < n_planes <= n_all:
        raise TileError(f"{n_planes} planes in a TiffData element, expected 1 to {n_all}")
    start = first[order[0]] + size[order[0]] * (first[order[1]] + size[order[1]] * first[order[2]])
    for step in range(n_planes):
        rest, place = start + step, {}
        for axis in order:
            rest, place[axis] = divmod(rest, size[axis])
        yield (place["T"], place["C"], place["Z"]), page + step


def _is_own(element: ElementTree.Element, own: str | None, name: str) -> bool:
    for uuid in _children(element, "UUID"):
        if own is not None and uuid.text is not None:
            return uuid.text == own
        return uuid.get("FileName", name) == name
    return True


def _children(element: ElementTree.Element, tag: str) -> list[ElementTree.Element]:
    return [child for child in element if _tag(child) == tag]


def _tag(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]
