"""Real images of two public plates are read by configuration alone; names as they came."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from mcvae_ops.archive.image_files import list_files
from mcvae_ops.screen import Channel
from mcvae_ops.tiles.fetch import stream_tiles
from mcvae_ops.tiles.read import read_tile

ARCHIVE = {"streams": 2, "retries": 1, "timeout_s": 5, "keep_raw": False}
NF1 = {
    "images": "images/{well}_01_{*}_{tile}_{channel}_001.tif", "cut_px": None, "tiles": "1-4",
    "plates": {"Plate_2": ["B7", "D6", "D7", "F7", "H12"]},
    "channels": [{"name": name, "group": name} for name in ("DAPI", "GFP", "RFP")],
}  # fmt: skip
JUMP = {
    "images": "images/r{row:2}c{column:2}f{tile:2}p01-ch{channel:1}sk1fk1fl1.tiff",
    "cut_px": None, "tiles": "1-9", "plates": {"BR00117006": ["A01"]},
    "channels": [{"name": "DNA", "group": "5"}, {"name": "RNA", "group": "3"},
                 {"name": "AGP", "group": "2"}],
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "screen", "shape", "n_tiles"),
    [("nf1", NF1, (904, 1224), 5), ("jump", JUMP, (1080, 1080), 1)],
)
def test_every_real_tile_is_read(shared, tmp_path, name, screen, shape, n_tiles):
    root, manifest = shared / "data/real" / name, tmp_path / "files.parquet"
    archive = ARCHIVE | {"root": str(root), "files": None}
    list_files(archive, screen, str(manifest), str(tmp_path / "rest.tsv"))
    files = pd.read_parquet(manifest)
    assert set(files["group"]) == {channel["group"] for channel in screen["channels"]}
    by_tile = dict(iter(files.groupby(["well", "tile"])))
    assert len(by_tile) == n_tiles
    channels = [Channel(**channel, index=None) for channel in screen["channels"]]
    for key, paths in stream_tiles(by_tile, tmp_path, ARCHIVE):
        tile = read_tile(paths, channels, 1, "max", shape)
        for channel, counts in zip(channels, tile, strict=True):
            # Pillow has decoders of its own.
            with Image.open(paths[channel.group]) as image:
                np.testing.assert_array_equal(counts, np.asarray(image), err_msg=str(key))
