"""Dependence of two variables, by kernels (Hilbert-Schmidt independence criterion, HSIC)."""

import torch
from torch import Tensor

FEWEST_CELLS = 4
"""The unbiased estimate needs four cells."""


def gaussian_kernel(latent: Tensor) -> Tensor:
    """Return exp(-d^2 / mean d^2) of all pairs of cells, (..., cell, cell).

    The bandwidth is the mean squared distance, so the scale of the latent space does not matter,
    and a model cannot evade a penalty by a smaller latent space.

    Parameters
    ----------
    latent
        (..., cell, latent).
    """
    latent = latent - latent.mean(dim=-2, keepdim=True)  # distances far below the mean keep digits
    squared = (latent**2).sum(dim=-1)
    products = latent @ latent.mT
    distances = (squared[..., :, None] + squared[..., None, :] - 2.0 * products).clamp(min=0.0)
    bandwidth = distances.detach().mean(dim=(-2, -1), keepdim=True).clamp(min=1e-12)
    return torch.exp(-distances / bandwidth)


def label_kernel(label: Tensor) -> Tensor:
    """Return 1.0 for pairs of cells with the same label and 0.0 for others, (cell, cell)."""
    return (label[:, None] == label).float()


def hsic(first: Tensor, second: Tensor) -> Tensor:
    """Return the unbiased estimate of the HSIC of two kernels; about 0 if independent.

    Parameters
    ----------
    first, second
        (..., cell, cell). With further axes, they broadcast, and the estimate has them.

    References
    ----------
    Song et al. 2012, "Feature selection via dependence maximization", equation 4.
    """
    n = first.shape[-1]
    k, m = _off_diagonal(first), _off_diagonal(second)
    sum_k, sum_m = k.sum(dim=-1), m.sum(dim=-1)
    trace = (k * m).sum(dim=(-2, -1))
    both = sum_k.sum(dim=-1) * sum_m.sum(dim=-1) / ((n - 1) * (n - 2))
    return (trace + both - 2.0 * (sum_k * sum_m).sum(dim=-1) / (n - 2)) / (n * (n - 3))


def _off_diagonal(kernel: Tensor) -> Tensor:
    """Return the kernel less its mean over pairs of two cells, which HSIC does not see, and 0."""
    n = kernel.shape[-1]
    others = 1.0 - torch.eye(n, dtype=kernel.dtype, device=kernel.device)
    mean = (kernel * others).sum(dim=(-2, -1), keepdim=True) / (n * (n - 1))
    return (kernel - mean) * others


def dependence(first: Tensor, second: Tensor) -> Tensor:
    """Return the HSIC of two kernels, divided by the root of the HSIC of each with itself.

    It is at most 1, and about 0 if both are independent; the estimate may be negative. With fewer
    than `FEWEST_CELLS` cells, or if a variable is constant, it is 0.

    Parameters
    ----------
    first, second
        As of `hsic`.

    References
    ----------
    Kornblith et al. 2019, "Similarity of neural network representations revisited" (CKA).
    """
    if first.shape[-1] < FEWEST_CELLS:
        return first.new_zeros(first.shape[:-2])
    own = (hsic(first, first) * hsic(second, second)).clamp(min=1e-12)
    return hsic(first, second) * torch.rsqrt(own)
