"""A vision transformer that has learnt nothing: an encoder for the score card, as a function.

It tells what the form of an encoder finds in crops by itself; see docs/encoders.md.
"""

from functools import cache

import torch
from torch import Tensor, nn

PATCH_PX, WIDTH, HEADS, BLOCKS = 8, 192, 3, 4
SEED = 0


class RandomViT(nn.Module):
    """Patches, a class token and positions, `BLOCKS` blocks of attention; weights as PyTorch draws.

    The form is that of Dosovitskiy et al. 2021 (arXiv:2010.11929), width and heads those of ViT-Ti.
    """

    def __init__(self, n_channels: int, size_px: int) -> None:
        super().__init__()
        self.patches = nn.Conv2d(n_channels, WIDTH, PATCH_PX, PATCH_PX)
        self.token = nn.Parameter(torch.randn(1, 1, WIDTH) * 0.02)
        n_patches = (size_px // PATCH_PX) ** 2
        self.place = nn.Parameter(torch.randn(1, n_patches + 1, WIDTH) * 0.02)
        block = nn.TransformerEncoderLayer(
            WIDTH, HEADS, 4 * WIDTH, dropout=0, activation="gelu", batch_first=True, norm_first=True
        )
        self.blocks = nn.TransformerEncoder(block, BLOCKS, nn.LayerNorm(WIDTH), False)

    def forward(self, images: Tensor) -> Tensor:
        """Return the class token, (image, `WIDTH`), of images (image, channel, y, x)."""
        patches = self.patches(images).flatten(2).transpose(1, 2)
        token = self.token.expand(len(patches), -1, -1)
        return self.blocks(torch.cat([token, patches], dim=1) + self.place)[:, 0]


@cache
def _network(n_channels: int, size_px: int, device: torch.device) -> RandomViT:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        return RandomViT(n_channels, size_px).eval().to(device)


@torch.no_grad()
def random_vit(images: Tensor) -> Tensor:
    """Return a vector of each image, (image, `WIDTH`); the weights are the same in every run."""
    return _network(images.shape[1], images.shape[-1], images.device)(images)
