"""Encoders and decoders by name, for any number of channels, width and input size."""

from itertools import pairwise

import torch
from torch import nn


def sizes_after(size_px: int, kernels: list[tuple[int, int]]) -> list[int]:
    """Return the edge in px before and after each convolution of (kernel, stride), padding 1."""
    sizes = [size_px]
    for kernel, stride in kernels:
        sizes.append((sizes[-1] + 2 - kernel) // stride + 1)
    return sizes


def upsampling(
    n_in: int, n_out: int, kernel: int, size_px: int, target_px: int, bias: bool = True
) -> nn.ConvTranspose2d:
    """Return a transposed convolution of stride 2 that maps an edge of `size_px` to `target_px`."""
    excess = 2 * (size_px - 1) + kernel - target_px
    padding = (excess + 1) // 2
    return nn.ConvTranspose2d(
        n_in, n_out, kernel, 2, padding, output_padding=2 * padding - excess, bias=bias
    )


class Conv64Encoder(nn.Sequential):
    """Five 3x3 convolutions with GELU, three of stride 2; (cell, channel, y, x) to (cell, feature).

    With 64 px and 4 channels it is most likely the encoder of Wang et al. 2023, figure 1C.
    """

    STRIDES = (2, 1, 2, 1, 2)

    def __init__(self, n_channels: int, base_width: int, size_px: int) -> None:
        c = base_width
        layers: list[nn.Module] = []
        for (n_in, n_out), stride in zip(
            pairwise([n_channels, c, c, 2 * c, 2 * c, 2 * c]), self.STRIDES, strict=True
        ):
            layers += [nn.Conv2d(n_in, n_out, 3, stride, 1), nn.GELU()]
        super().__init__(*layers, nn.Flatten())
        self.sizes_px = sizes_after(size_px, [(3, stride) for stride in self.STRIDES])
        self.n_features = 2 * c * self.sizes_px[-1] ** 2


class Conv64Decoder(nn.Sequential):
    """Linear layer and five (transposed) convolutions with GELU, the last one with tanh.

    Mirrors `Conv64Encoder`: (cell, latent) to (cell, channel, y, x) in [-1, 1].
    """

    def __init__(self, n_latent: int, n_channels: int, base_width: int, size_px: int) -> None:
        c = base_width
        full, half, _, quarter, _, eighth = sizes_after(
            size_px, [(3, stride) for stride in Conv64Encoder.STRIDES]
        )
        super().__init__(
            nn.Linear(n_latent, 2 * c * eighth**2),
            nn.GELU(),
            nn.Unflatten(1, (2 * c, eighth, eighth)),
            upsampling(2 * c, 2 * c, 3, eighth, quarter),
            nn.GELU(),
            nn.Conv2d(2 * c, 2 * c, 3, 1, 1),
            nn.GELU(),
            upsampling(2 * c, c, 3, quarter, half),
            nn.GELU(),
            nn.Conv2d(c, c, 3, 1, 1),
            nn.GELU(),
            upsampling(c, n_channels, 3, half, full),
            nn.Tanh(),
        )


class Conv96Encoder(nn.Sequential):
    """Five convolutions of stride 2, each with layer normalisation and GELU; no bias.

    The normalisation runs over (channel, y, x) of one cell with a gain and offset per channel, so
    that the number of parameters does not depend on the input size.
    """

    KERNELS = (4, 4, 3, 3, 3)

    def __init__(self, n_channels: int, base_width: int, size_px: int) -> None:
        c = base_width
        layers: list[nn.Module] = []
        for (n_in, n_out), kernel in zip(
            pairwise([n_channels, c, 2 * c, 4 * c, 8 * c, 8 * c]), self.KERNELS, strict=True
        ):
            convolution = nn.Conv2d(n_in, n_out, kernel, 2, 1, bias=False)
            layers += [convolution, nn.GroupNorm(1, n_out), nn.GELU()]
        super().__init__(*layers, nn.Flatten())
        self.sizes_px = sizes_after(size_px, [(kernel, 2) for kernel in self.KERNELS])
        self.n_features = 8 * c * self.sizes_px[-1] ** 2


class Conv96Decoder(nn.Sequential):
    """Linear layer and five transposed convolutions that mirror `Conv96Encoder`; ends in tanh."""

    KERNELS = (4, 4, 3, 5, 3)

    def __init__(self, n_latent: int, n_channels: int, base_width: int, size_px: int) -> None:
        c = base_width
        sizes_px = sizes_after(size_px, [(kernel, 2) for kernel in Conv96Encoder.KERNELS])[::-1]
        widths = [8 * c, 8 * c, 4 * c, 2 * c, c]
        layers: list[nn.Module] = [
            nn.Linear(n_latent, 8 * c * sizes_px[0] ** 2),
            nn.GELU(),
            nn.Unflatten(1, (8 * c, sizes_px[0], sizes_px[0])),
        ]
        steps = list(zip(pairwise(widths), self.KERNELS, pairwise(sizes_px), strict=False))
        for (n_in, n_out), kernel, (size, target) in steps:
            convolution = upsampling(n_in, n_out, kernel, size, target, bias=False)
            layers += [convolution, nn.GroupNorm(1, n_out), nn.GELU()]
        last = upsampling(c, n_channels, self.KERNELS[-1], *sizes_px[-2:])
        super().__init__(*layers, last, nn.Tanh())


class ResidualBlock(nn.Module):
    """Two normalised 3x3 convolutions, whose result is added to their input."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(*(layer for _ in range(2) for layer in _normalised(width)))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images + self.branch(images)


def _normalised(width: int) -> list[nn.Module]:
    return [nn.GroupNorm(1, width), nn.GELU(), nn.Conv2d(width, width, 3, 1, 1)]


class Resnet64Encoder(nn.Sequential):
    """Three convolutions of stride 2, each followed by two residual blocks: 15 layers deep.

    Pre-activation blocks of He et al. 2016, doi:10.1007/978-3-319-46493-0_38, with the layer
    normalisation of `Conv96Encoder`, because cells of a minibatch differ too much for batch
    normalisation.
    """

    BLOCKS = 2
    KERNELS = (3, 3, 3)

    def __init__(self, n_channels: int, base_width: int, size_px: int) -> None:
        c = base_width
        layers: list[nn.Module] = []
        for n_in, n_out in pairwise([n_channels, c, 2 * c, 4 * c]):
            layers += [nn.Conv2d(n_in, n_out, 3, 2, 1)]
            layers += [ResidualBlock(n_out) for _ in range(self.BLOCKS)]
        super().__init__(*layers, nn.GroupNorm(1, 4 * c), nn.GELU(), nn.Flatten())
        self.sizes_px = sizes_after(size_px, [(kernel, 2) for kernel in self.KERNELS])
        self.n_features = 4 * c * self.sizes_px[-1] ** 2


class Resnet64Decoder(nn.Sequential):
    """Linear layer, then residual blocks before each of three upsamplings; ends in tanh."""

    def __init__(self, n_latent: int, n_channels: int, base_width: int, size_px: int) -> None:
        c = base_width
        sizes_px = sizes_after(size_px, [(kernel, 2) for kernel in Resnet64Encoder.KERNELS])[::-1]
        layers: list[nn.Module] = [
            nn.Linear(n_latent, 4 * c * sizes_px[0] ** 2),
            nn.Unflatten(1, (4 * c, sizes_px[0], sizes_px[0])),
        ]
        for (n_in, n_out), sizes in zip(
            pairwise([4 * c, 2 * c, c, n_channels]), pairwise(sizes_px), strict=True
        ):
            layers += [ResidualBlock(n_in) for _ in range(Resnet64Encoder.BLOCKS)]
            layers += [nn.GroupNorm(1, n_in), nn.GELU(), upsampling(n_in, n_out, 3, *sizes)]
        super().__init__(*layers, nn.Tanh())


NETWORKS: dict[str, tuple[type[nn.Sequential], type[nn.Sequential]]] = {
    "conv64": (Conv64Encoder, Conv64Decoder),
    "conv96": (Conv96Encoder, Conv96Decoder),
    "resnet64": (Resnet64Encoder, Resnet64Decoder),
}


def he_initialise(module: nn.Module, generator: torch.Generator) -> None:
    """Draw all weights so that each layer keeps the variance of its input; biases become 0.

    A transposed convolution of stride s sums over n_in k^2 / s^2 inputs. PyTorch's default
    initialisation assumes n_out k^2, and the signal fades on its way through the decoder.

    Parameters
    ----------
    module
        Module whose convolutions, transposed convolutions and linear layers are initialised.
    generator
        Source of the draws.

    References
    ----------
    He et al. 2015, doi:10.1109/ICCV.2015.123.
    """
    for layer in module.modules():
        if not isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            continue
        fan_in = _fan_in(layer)
        with torch.no_grad():
            layer.weight.normal_(0.0, (2.0 / fan_in) ** 0.5, generator=generator)
            if layer.bias is not None:
                layer.bias.zero_()


def _fan_in(layer: nn.Linear | nn.Conv2d | nn.ConvTranspose2d) -> float:
    if isinstance(layer, nn.Linear):
        return layer.in_features
    taps = layer.kernel_size[0] * layer.kernel_size[1]
    if isinstance(layer, nn.Conv2d):
        return layer.in_channels * taps
    return layer.in_channels * taps / (layer.stride[0] * layer.stride[1])


def n_parameters(module: nn.Module) -> int:
    """Return the number of trained parameters."""
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)
