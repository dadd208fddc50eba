"""Export a shard as OME-Zarr (NGFF 0.5, or 0.4), for napari and other viewers.

What is known of each cell stands in the table of a label image, as the format has it: napari shows
it as the features of the layer "cells", other readers of OME-Zarr as properties. The label of a
crop, 1 for the first, is drawn as a frame around it, so that the crop can be seen within.
"""

import numpy as np

from mcvae_ops.files import whole_folder
from mcvae_ops.shards.format import Shard, open_shard
from mcvae_ops.shards.ngff_metadata import ZARR_FORMAT, multiscale, omero, stamped, window_of

CELLS_PER_CHUNK = 64
WINDOW_CELLS = 256
LABELS = "cells"  # name of the label image
FRAME_FRACTION = 1 / 24  # of the edge of a crop
KNOWN = ("cell_id", "gene", "guide", "is_ntc", "plate", "well", "tile", "y_px", "x_px")


def image_metadata(
    shard: Shard, name: str, colours: dict[str, str], pixel_size_um: float | None
) -> dict:
    """Return what NGFF says of an image of crops.

    Parameters
    ----------
    shard
        The crops.
    name
        Name of the image.
    colours
        channel -> ``#rrggbb``.
    pixel_size_um
        Edge of a pixel; None where it is not known: lengths are px then.

    Returns
    -------
    ``multiscales`` and ``omero`` (names, colours and contrast of the channels). NGFF has no axis of
    cells, so they are along the axis of time, through which a viewer steps.
    """
    sample = shard.crops[:: max(1, len(shard.crops) // WINDOW_CELLS)]
    windows = [window_of(counts) for counts in np.moveaxis(sample, 1, 0)]
    image = multiscale(name, "tcyx", pixel_size_um)
    return {"multiscales": [image], "omero": omero(shard.channels, colours, windows)}


def label_metadata(shard: Shard, pixel_size_um: float | None) -> dict:
    """Return what NGFF says of the label image: ``image-label`` has a row of `KNOWN` per cell.

    Parameters
    ----------
    shard
        The crops and their cells; what the cells lack of `KNOWN` is left out.
    pixel_size_um
        As in `image_metadata`.
    """
    known = shard.cells.select([name for name in KNOWN if name in shard.cells.column_names])
    rows = [{"label-value": k, **row} for k, row in enumerate(known.to_pylist(), start=1)]
    label = {"properties": rows, "source": {"image": "../../"}}
    return {"multiscales": [multiscale(LABELS, "tyx", pixel_size_um)], "image-label": label}


def frames(first: int, n: int, shape: tuple[int, int]) -> np.ndarray:
    """Return the label images of `n` crops, int32 (cell, y, x): label first + 1, ... on a frame."""
    width = max(1, round(FRAME_FRACTION * min(shape)))
    framed = np.ones(shape, np.int32)
    framed[width:-width, width:-width] = 0
    return framed * np.arange(first + 1, first + n + 1, dtype=np.int32)[:, None, None]


def export_ome_zarr(
    crops: str, channels: list[dict], pixel_size_um: float | None, ngff: str, zarr: str
) -> None:
    """Rule export_ome_zarr: write a shard as an image of axes t (cells), c, y, x, and its labels.

    Parameters
    ----------
    crops
        The shard (.npy); its rows are in the .parquet beside it.
    channels
        Name and colour of each channel.
    pixel_size_um
        Edge of a pixel; or None.
    ngff
        Version of the format: ``0.5`` (Zarr 3) or ``0.4`` (Zarr 2).
    zarr
        Output: a folder.
    """
    from zarr import open_group  # not needed on a bare GPU node

    shard = open_shard(crops)
    colours = {channel["name"]: channel["colour"] for channel in channels}
    name = "/".join(str(crops).removesuffix(".npy").split("/")[-3:])
    n, _, *shape = shard.crops.shape
    with whole_folder(zarr) as partial:
        group = open_group(partial, mode="w", zarr_format=ZARR_FORMAT[ngff])
        image_attributes = image_metadata(shard, name, colours, pixel_size_um)
        group.attrs.update(stamped(image_attributes, ngff))
        labels = group.create_group("labels")
        labels.attrs.update(stamped({"labels": [LABELS]}, ngff))
        cells = labels.create_group(LABELS)
        cells.attrs.update(stamped(label_metadata(shard, pixel_size_um), ngff))
        image = _array(group, "tcyx", shard.crops.shape, shard.crops.dtype)
        label = _array(cells, "tyx", (n, *shape), np.int32)
        for first in range(0, n, CELLS_PER_CHUNK):
            part = shard.crops[first : first + CELLS_PER_CHUNK]
            image[first : first + len(part)] = part
            label[first : first + len(part)] = frames(first, len(part), tuple(shape))


def _array(group, axes: str, shape: tuple[int, ...], dtype):
    """Return a new array of a group of zarr, whose chunks hold some cells each."""
    in_2 = {"chunk_key_encoding": {"name": "v2", "separator": "/"}}
    in_3 = {"dimension_names": list(axes)}
    return group.create_array(
        "0",
        shape=shape,
        dtype=dtype,
        chunks=(CELLS_PER_CHUNK, *shape[1:]),
        **(in_3 if group.metadata.zarr_format == 3 else in_2),
    )
