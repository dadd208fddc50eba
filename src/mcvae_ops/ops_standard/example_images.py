"""Crops of a few cells of each guide, as images of their own: ``examples.zarr``."""

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from mcvae_ops.files import read_codes, read_rows, whole_folder
from mcvae_ops.ops_standard.collection_names import perturbation_id
from mcvae_ops.ops_standard.plate_images import Image, write_images
from mcvae_ops.shards.crop_examples import draws_of
from mcvae_ops.shards.format import open_shard
from mcvae_ops.shards.ngff_metadata import omero, window_of

MOST_BARCODES = 10  # of a perturbation, by the standard
_WINDOW_CROPS = 256
_AT_ONCE = 256  # crops in memory


def chosen_cells(cells: pd.DataFrame, per_barcode: int) -> pd.DataFrame:
    """Choose the cells that are shown, by their names alone.

    Parameters
    ----------
    cells
        cell_id, guide and gene of all cells, by row of the index.
    per_barcode
        Most cells of a guide.

    Returns
    -------
    Rows of `cells` in their order, with number: 0, 1, ... among those of the guide. Of a gene those
    `MOST_BARCODES` guides that have most cells.
    """
    n_cells = cells.groupby(["gene", "guide"], observed=True).size().reset_index(name="n")
    n_cells = n_cells.sort_values(["gene", "n", "guide"], ascending=[True, False, True])
    most = n_cells.groupby("gene", observed=True).head(MOST_BARCODES)["guide"]
    shown = cells[cells["guide"].isin(most)]
    shown = shown.assign(draw=draws_of(shown["cell_id"])).sort_values("draw", kind="stable")
    shown["number"] = shown.groupby("guide", observed=True).cumcount()
    return shown[shown["number"] < per_barcode].drop(columns="draw").sort_index()


def ops_examples(
    index: str,
    channels: Sequence[dict],
    pixel_size_um: float,
    crops_per_barcode: int,
    examples: str,
) -> None:
    """Rule ops_examples: write the crops of some cells of each guide.

    Parameters
    ----------
    index
        The shard index.
    channels
        Name and colour of each channel.
    pixel_size_um
        Edge of a pixel.
    crops_per_barcode
        Most crops of a guide.
    examples
        Output, a folder: ``{channels}/{perturbation_id}/{barcode}/{0, 1, ...}``, each an image of
        NGFF 0.5 with the axes T, C, Z, Y, X, one file for all its channels (a shard).
    """
    from zarr import open_group

    cells = read_codes(index, ["guide", "gene"]).to_pandas()
    cells["cell_id"] = read_codes(index, ["cell_id"])["cell_id"].to_pandas().astype(object)
    chosen = chosen_cells(cells, crops_per_barcode)
    names = [channel["name"] for channel in channels]
    colours = {channel["name"]: channel["colour"] for channel in channels}
    sample = chosen.iloc[:: max(1, len(chosen) // _WINDOW_CROPS)]
    counts = np.stack([crop for _, crop in _crops(index, sample)])
    drawn = omero(names, colours, [window_of(part) for part in np.moveaxis(counts, 1, 0)])
    combination = "_".join(names)
    ids = {gene: perturbation_id(gene) for gene in chosen["gene"].unique()}
    with whole_folder(examples) as partial:
        root = open_group(partial, mode="w", zarr_format=3)
        root.attrs["perturbation_id"] = sorted(ids.values())
        crops = _crops(index, chosen)
        while some := list(itertools.islice(crops, _AT_ONCE)):
            images = {
                f"{combination}/{ids[cell.gene]}/{cell.guide}/{cell.number}": Image(
                    cell.cell_id, crop, drawn, {"perturbation_id": ids[cell.gene]}
                )
                for cell, crop in some
            }
            write_images(partial, images, pixel_size_um)
        for its_id in ids.values():
            root[f"{combination}/{its_id}"].attrs["perturbation_id"] = its_id


def _crops(index: str, chosen: pd.DataFrame) -> Iterator[tuple]:
    """Yield each chosen cell and its crop (channel, y, x), shard by shard."""
    places = read_rows(index, ["shard", "row"], chosen.index.to_numpy()).to_pandas()
    located = chosen.reset_index(drop=True).assign(**places)
    for shard, cells in located.groupby("shard", sort=False):
        crops = open_shard(Path(index).parents[1] / shard).crops
        for cell in cells.itertuples():
            yield cell, np.array(crops[cell.row])
