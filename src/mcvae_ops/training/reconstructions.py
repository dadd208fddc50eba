"""Reconstructions of some validation cells, for a figure of each trained model."""

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from mcvae_ops.files import read_rows
from mcvae_ops.models.family import NTC_LABEL, ContrastiveVAE
from mcvae_ops.models.preprocess import Preprocessing
from mcvae_ops.training.validate import ValidationSet

N_CELLS = 6
"""Cells of either arm: the first validation cells, so the same for all models and seeds."""


@torch.no_grad()
def reconstruct(
    model: ContrastiveVAE, images: Tensor, label: Tensor, batch: Tensor
) -> dict[str, Tensor]:
    """Return images decoded from posterior means, (cell, channel, y, x).

    Returns
    -------
    ``reconstruction``, with s = 0 in NTC cells as in training; and ``without_s``, with s = 0 in all
    cells, if the model has a salient space.
    """
    model.eval()
    latent = model.embed(images)
    if "s" not in latent:
        return {"reconstruction": model.decode(latent, batch)}
    own_s = latent["s"].masked_fill((label == NTC_LABEL)[:, None], 0.0)
    zero = torch.zeros_like(own_s)
    return {
        "reconstruction": model.decode(latent | {"s": own_s}, batch),
        "without_s": model.decode(latent | {"s": zero}, batch),
    }


def sample_table(
    model: ContrastiveVAE,
    validation: ValidationSet,
    index: str,
    preprocess: Preprocessing,
    channels: list[str],
) -> pa.Table:
    """Return `N_CELLS` cells of either arm and their reconstructions, one row per pixel.

    Parameters
    ----------
    model, preprocess, channels
        Model, its preprocessing, and the names of its channels.
    validation
        The cells that are drawn are the first of either arm.
    index
        The shard index, with the names of cells.

    Returns
    -------
    cell_id, is_ntc, channel, y, x; input, reconstruction and without_s on the scale of the
    networks' input, -1 to 1.
    """
    is_ntc = (validation.label == NTC_LABEL).cpu().numpy()
    chosen = np.concatenate([np.flatnonzero(is_ntc == arm)[:N_CELLS] for arm in (True, False)])
    crops = validation.crops.cpu()[chosen]  # CUDA has no such indexing of uint16
    images = preprocess(crops.to(validation.crops.device), validation.batch[chosen])
    columns = {"input": images} | reconstruct(
        model, images, validation.label[chosen], validation.batch[chosen]
    )
    cell, channel, y, x = (axis.ravel() for axis in np.indices(images.shape, np.int32))
    positions = validation.positions[chosen]
    order = np.argsort(positions)
    names = read_rows(index, ["cell_id"], positions[order])["cell_id"].combine_chunks()
    names = names.take(pa.array(np.argsort(order)))
    keys = {"cell_id": names.take(pa.array(cell)), "is_ntc": is_ntc[chosen][cell]}
    keys |= {"channel": np.array(channels)[channel], "y": y, "x": x}
    pixels = {
        name: value.float().cpu().contiguous().numpy().ravel() for name, value in columns.items()
    }
    return pa.table(keys | pixels)
