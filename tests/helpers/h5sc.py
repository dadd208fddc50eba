"""Files of single cells as scPortrait writes them (`scportrait.io.h5sc.numpy_to_h5sc`, 1.8)."""

from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
from anndata import AnnData


def write_h5sc(
    path: Path, masks: np.ndarray, images: np.ndarray, channels: Sequence[str], cells: pd.DataFrame
) -> None:
    """Write masks (cell, 2, y, x) and images (cell, channel, y, x) between 0 and 1, float16."""
    names = ["seg_all_nucleus", "seg_all_cytosol", *channels]
    kinds = ["mask"] * masks.shape[1] + ["image_channel"] * images.shape[1]
    var = pd.DataFrame({"channels": names, "channel_mapping": kinds}).set_axis(
        [str(k) for k in range(len(names))]
    )
    obs = pd.DataFrame({"scportrait_cell_id": np.arange(1, len(cells) + 1, dtype=np.uint64)})
    obs = pd.concat([obs, cells.reset_index(drop=True)], axis=1)
    AnnData(obs=obs.set_axis([str(k) for k in range(len(obs))]), var=var).write_h5ad(path)
    pixels = np.concatenate([masks, images], axis=1).astype(np.float16)
    with h5py.File(path, "a") as file:
        stack = file.create_dataset(
            "obsm/single_cell_images",
            data=pixels,
            chunks=(1, 1, *pixels.shape[2:]),
            compression="gzip",
        )
        stack.attrs["encoding-type"], stack.attrs["encoding-version"] = "array", "0.2.0"
        stack.attrs["channel_names"] = np.array([name.encode() for name in names])
        stack.attrs["channel_mapping"] = np.array([kind.encode() for kind in kinds])
