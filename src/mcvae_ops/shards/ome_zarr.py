"""Export a shard as OME-Zarr (NGFF 0.4), for napari and other viewers."""

import numpy as np

from mcvae_ops.files import whole_folder
from mcvae_ops.shards.format import Shard, open_shard

VERSION = "0.4"  # viewers read it; 0.5 differs only in the storage format
CELLS_PER_CHUNK = 64
WINDOW = (1.0, 99.8)  # percentiles of a channel: black and full colour
WINDOW_CELLS = 256


def image_metadata(
    shard: Shard, name: str, colours: dict[str, str], pixel_size_um: float | None
) -> dict:
    """Return the attributes of an image of crops.

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
    ``multiscales``, ``omero`` (names, colours and contrast of the channels) and ``mcvae_ops`` (the
    cell of each crop). NGFF has no axis of cells, so they are along the axis of time, through which
    a viewer steps.
    """
    space = {"type": "space"} | ({"unit": "micrometer"} if pixel_size_um else {})
    axes = [{"name": "t", "type": "time"}, {"name": "c", "type": "channel"}]
    axes += [{"name": "y", **space}, {"name": "x", **space}]
    scale = {"type": "scale", "scale": [1.0, 1.0, *[pixel_size_um or 1.0] * 2]}
    dataset = {"path": "0", "coordinateTransformations": [scale]}
    image = {"version": VERSION, "name": name, "axes": axes, "datasets": [dataset]}
    sample = shard.crops[:: max(1, len(shard.crops) // WINDOW_CELLS)]
    channels = []
    for channel, counts in zip(shard.channels, np.moveaxis(sample, 1, 0), strict=True):
        low, high = np.percentile(counts, WINDOW) if counts.size else (0, 1)
        window = {"min": 0, "max": 65_535, "start": float(low), "end": float(max(high, low + 1))}
        colour = colours[channel].removeprefix("#")
        channels.append({"label": channel, "color": colour, "active": True, "window": window})
    omero = {"version": VERSION, "channels": channels, "rdefs": {"model": "color"}}
    cells = {"cell_id": shard.cells["cell_id"].to_pylist()}
    return {"multiscales": [image], "omero": omero, "mcvae_ops": cells}


def export_ome_zarr(
    crops: str, channels: list[dict], pixel_size_um: float | None, zarr: str
) -> None:
    """Rule export_ome_zarr: write a shard as an image of axes t (cells), c, y, x.

    Parameters
    ----------
    crops
        The shard (.npy); its rows are in the .parquet beside it.
    channels
        Name and colour of each channel.
    pixel_size_um
        Edge of a pixel; or None.
    zarr
        Output: a folder.
    """
    from zarr import create_array, open_group  # not needed on a bare GPU node

    shard = open_shard(crops)
    colours = {channel["name"]: channel["colour"] for channel in channels}
    name = "/".join(str(crops).removesuffix(".npy").split("/")[-3:])
    with whole_folder(zarr) as partial:
        group = open_group(partial, mode="w", zarr_format=2)
        group.attrs.update(image_metadata(shard, name, colours, pixel_size_um))
        image = create_array(
            partial,
            name="0",
            shape=shard.crops.shape,
            dtype=shard.crops.dtype,
            chunks=(CELLS_PER_CHUNK, *shard.crops.shape[1:]),
            zarr_format=2,
            chunk_key_encoding={"name": "v2", "separator": "/"},
        )
        for first in range(0, len(shard.crops), CELLS_PER_CHUNK):
            image[first : first + CELLS_PER_CHUNK] = shard.crops[first : first + CELLS_PER_CHUNK]
