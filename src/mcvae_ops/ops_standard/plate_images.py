"""The tiles of a screen as crops were cut from them, as plates of OME-Zarr."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mcvae_ops.errors import TileError
from mcvae_ops.files import read_frame, whole_folder, write_text
from mcvae_ops.ops_standard.collection_names import well_parts
from mcvae_ops.progress import Progress
from mcvae_ops.shards.ngff_metadata import multiscale, omero, stamped, window_of
from mcvae_ops.tiles.crop import clip, resample
from mcvae_ops.tiles.fetch import stream_tiles
from mcvae_ops.tiles.illumination import read_illumination
from mcvae_ops.tiles.load import aligned_tile
from mcvae_ops.tiles.shifts import consensus_of_well

NGFF = "0.5"
AXES = "TCZYX"


def written_tile(image: np.ndarray, shifts: np.ndarray, clip_fraction: float) -> np.ndarray:
    """Return a tile of which crops are plain windows: clipped, and in the reference frame.

    Parameters
    ----------
    image
        uint16 (channel, y, x), projected, not aligned.
    shifts
        (channel, 2), px; see `mcvae_ops.tiles.crop.sample_shifted`.
    clip_fraction
        Of the pixels of a channel, at the top and at the bottom.
    """
    return np.rint(resample(clip(image, clip_fraction), shifts)).astype(np.uint16)


def ops_images(
    files: str,
    index: str,
    consensus: str,
    illumination: str | None,
    screen: dict,
    alignment: dict,
    crop: dict,
    archive: dict,
    plate: str,
    well: str,
    cache: str,
    well_group: str,
) -> None:
    """Rule ops_images: write the tiles of a well that have cells, as the fields of the well.

    Parameters
    ----------
    files, index
        Files of the screen; the shard index.
    consensus, illumination
        Of the plate; of the well, or None.
    screen, alignment, crop, archive
        Sections of the configuration.
    plate, well
        Which well.
    cache
        Folder for fetched files.
    well_group
        Output: the group of the well, ``{row}/{column}`` in the store of the plate; below it an
        image of each tile, called by its number.

    Raises
    ------
    TileError
        If a tile of which there are crops cannot be read any more.
    """
    from zarr import open_group

    here = [("plate", "==", plate), ("well", "==", well)]
    tiles = sorted(read_frame(index, ["tile"], filters=here)["tile"].unique().tolist())
    rows = dict(iter(read_frame(files, filters=here).groupby("tile")))
    wanted = {tile: rows[tile] for tile in tiles}
    usual = consensus_of_well(read_frame(consensus), well)
    light = illumination and read_illumination(
        illumination, crop["illumination"], screen["tile_size_px"]
    )
    names = [channel["name"] for channel in screen["channels"]]
    colours = {channel["name"]: channel["colour"] for channel in screen["channels"]}
    progress = Progress(len(tiles), "tiles", "write")
    with whole_folder(well_group) as partial:
        group = open_group(partial, mode="w", zarr_format=3)
        fields = [{"path": str(tile), "acquisition": 0} for tile in tiles]
        group.attrs.update(stamped({"well": {"images": fields}}, NGFF))
        for tile, paths in stream_tiles(wanted, cache, archive):
            if isinstance(paths, TileError):
                raise paths
            aligned = aligned_tile(
                paths, screen, alignment, usual, light and light.correct, archive
            )
            image = written_tile(aligned.image, aligned.shifts.px, crop["clip_fraction"])
            drawn = omero(names, colours, [window_of(channel) for channel in image])
            written = {str(tile): Image(str(tile), image, drawn, {})}
            write_images(partial, written, screen["pixel_size_um"])
            progress.step()


class Image(NamedTuple):
    """An image that is written.

    Attributes
    ----------
    name
        Its name.
    pixels
        (channel, y, x).
    drawn
        How a viewer draws its channels.
    further
        Other attributes of its group.
    """

    name: str
    pixels: np.ndarray
    drawn: dict
    further: dict


def write_images(folder: str | Path, images: Mapping[str, Image], pixel_size_um: float) -> None:
    """Write some images of one shape into a store, all their metadata at once.

    Parameters
    ----------
    folder
        The store.
    images
        By path in the store. The axes are T, C, Z, Y, X; an image is one file (a shard) that holds
        a chunk of each channel.
    pixel_size_um
        Edge of a pixel.
    """
    from zarr import create_hierarchy
    from zarr.core.group import GroupMetadata
    from zarr.storage import LocalStore

    array = _array_metadata(next(iter(images.values())).pixels)
    nodes = {}
    for place, image in images.items():
        described = multiscale(image.name, AXES, pixel_size_um, time_unit="second")
        attributes = stamped({"multiscales": [described], "omero": image.drawn}, NGFF)
        nodes[place] = GroupMetadata(attributes | image.further, zarr_format=3)
        nodes[f"{place}/0"] = array
    for place, node in create_hierarchy(store=LocalStore(folder), nodes=nodes):
        if place.endswith("/0") and place.removesuffix("/0") in images:
            node[:] = images[place.removesuffix("/0")].pixels[None, :, None]


def _array_metadata(pixels: np.ndarray):
    """Return the metadata of the array of an image, as zarr makes them."""
    from zarr import create_array

    n_channels, *shape = pixels.shape
    array = create_array(
        {},
        shape=(1, n_channels, 1, *shape),
        dtype=pixels.dtype,
        chunks=(1, 1, 1, *shape),
        shards=(1, n_channels, 1, *shape),
        dimension_names=list(AXES),
    )
    return array.metadata


def channels_metadata(channels: Sequence[dict]) -> list[dict]:
    """Return what the standard says of the channels of a store: fluorescence, by its stain."""
    described = []
    for index, channel in enumerate(channels):
        target = channel["stain"] or channel["name"]
        biology = {
            "biological_target": target, "marker": channel["name"], "marker_type": "stain",
            "full_label": f"{target}, {channel['name']}",
        }  # fmt: skip
        described.append(
            {
                "name": channel["name"],
                "index": index,
                "channel_type": "fluorescence",
                "description": f"{target}, projected, aligned and clipped as crops are cut from it",
                "biological_annotation": biology,
            }
        )
    return described


def plate_metadata(name: str, fields: dict[str, int]) -> dict:
    """Return what NGFF says of a plate.

    Parameters
    ----------
    name
        Of the plate.
    fields
        Well (A1) -> number of its fields.
    """
    parts = {well: well_parts(well) for well in sorted(fields, key=well_parts)}
    rows = sorted({row for row, _ in parts.values()})
    columns = sorted({column for _, column in parts.values()})
    wells = [
        {"path": f"{row}/{column}", "rowIndex": rows.index(row),
         "columnIndex": columns.index(column)}
        for row, column in parts.values()
    ]  # fmt: skip
    return {
        "version": NGFF,
        "name": name,
        "field_count": max(fields.values()),
        "acquisitions": [{"id": 0}],
        "rows": [{"name": row} for row in rows],
        "columns": [{"name": str(column)} for column in columns],
        "wells": wells,
    }


def ops_plate(
    index: str, wells: Sequence[str], channels: Sequence[dict], plate: str, store: str
) -> None:
    """Rule ops_plate: write the metadata of a store, and of its rows.

    Parameters
    ----------
    index
        The shard index.
    wells
        Wells of the plate.
    channels
        Section of the configuration.
    plate
        Name of the plate.
    store
        Output: ``zarr.json`` of the store; those of its rows lie below it.
    """
    cells = read_frame(index, ["well", "tile"], filters=[("plate", "==", plate)])
    n_tiles = cells.groupby("well")["tile"].nunique()
    fields = {well: int(n_tiles.get(well, 0)) for well in wells}
    attributes = stamped({"plate": plate_metadata(plate, fields)}, NGFF)
    for row in {well_parts(well)[0] for well in wells}:
        _write_group({}, Path(store).parent / row / "zarr.json")
    _write_group(attributes | {"channels_metadata": channels_metadata(channels)}, store)


def _write_group(attributes: dict, path: str | Path) -> None:
    group = {"zarr_format": 3, "node_type": "group", "attributes": attributes}
    write_text(json.dumps(group, indent=2), path)
