"""A shard as OME-Zarr, read by the package that the format's authors keep."""

import numpy as np
import pytest
import zarr
from ome_zarr.io import parse_url
from ome_zarr.reader import Label, Reader

from mcvae_ops.shards.format import open_shard
from mcvae_ops.shards.ome_zarr import export_ome_zarr
from tests.helpers.fake_shards import write_fake_screen
from tests.helpers.report_inputs import CONFIGURATION

CHANNELS = CONFIGURATION["screen"]["channels"]


VERSIONS = pytest.mark.parametrize("ngff", ["0.5", "0.4"])


@pytest.fixture
def shard(tmp_path):
    write_fake_screen(tmp_path)
    return tmp_path / "crops/P/A1/000.perturbed.npy"


@VERSIONS
def test_the_reader_of_ome_zarr_finds_pixels_names_and_scale(shard, ngff, tmp_path):
    target = tmp_path / "ome_zarr/000.perturbed.ome.zarr"
    export_ome_zarr(str(shard), CHANNELS, 0.5, ngff, str(target))
    assert zarr.open_group(target).metadata.zarr_format == {"0.4": 2, "0.5": 3}[ngff]
    assert parse_url(target, mode="r").fmt.version == ngff
    image, *_ = list(Reader(parse_url(target, mode="r"))())
    found, opened = image.metadata, open_shard(shard)
    assert len(image.data) == 1
    np.testing.assert_array_equal(np.asarray(image.data[0]), opened.crops)
    assert [axis["name"] for axis in found["axes"]] == ["t", "c", "y", "x"]
    (scale,) = found["coordinateTransformations"][0]
    assert scale == {"type": "scale", "scale": [1, 1, 0.5, 0.5]}
    assert found["channel_names"] == list(opened.channels)
    assert found["colormap"][0][1] == pytest.approx([0xF5 / 255, 0xB7 / 255, 0], abs=1e-6)
    low, high = np.percentile(opened.crops[:, 0], [1, 99.8])
    assert found["contrast_limits"][0] == pytest.approx([low, high])


@VERSIONS
def test_the_labels_hold_a_table_with_a_row_of_each_crop(shard, ngff, tmp_path):
    """As napari-ome-zarr makes the features of a layer from it: properties, by label."""
    target = tmp_path / "000.perturbed.ome.zarr"
    export_ome_zarr(str(shard), CHANNELS, 0.5, ngff, str(target))
    image, _, labels = list(Reader(parse_url(target, mode="r"))())
    assert labels.load(Label) and labels.metadata["name"] == "cells" and not labels.visible
    known, cells = labels.metadata["properties"], open_shard(shard).cells.to_pylist()
    assert list(known) == list(range(1, len(cells) + 1))
    for cell, row in zip(cells, known.values(), strict=True):
        assert row == {name: cell[name] for name in row}
        assert {"cell_id", "gene", "guide", "plate", "well", "tile"} <= set(row)
    drawn = np.asarray(labels.data[0])
    assert drawn.shape == (len(cells), *image.data[0].shape[2:])
    np.testing.assert_array_equal(drawn[:, 0, 0], list(known))
    assert (drawn[:, 0] == drawn[:, :, -1]).all() and not drawn[:, 1:-1, 1:-1].any()
    (scale,) = labels.metadata["coordinateTransformations"][0]
    assert scale == {"type": "scale", "scale": [1, 0.5, 0.5]}


def test_same_bytes_twice_and_no_partial_folder(shard, tmp_path):
    contents = []
    for _ in range(2):
        export_ome_zarr(str(shard), CHANNELS, 0.5, "0.5", str(tmp_path / "out.ome.zarr"))
        paths = [path for path in (tmp_path / "out.ome.zarr").rglob("*") if path.is_file()]
        contents.append({path: path.read_bytes() for path in paths})
    assert contents[0] == contents[1]
    assert not list(tmp_path.glob(".out*"))
