"""Dependence of two variables, by kernels (Hilbert-Schmidt independence criterion, HSIC)."""

import torch
from torch import Tensor

FEWEST_CELLS = 4
"""The unbiased estimate needs four cells."""


def gaussian_kernel(latent: Tensor) -> Tensor:
    """Return exp(-d^2 / mean d^2) of all pairs of cells, (cell, cell).

    The bandwidth is the mean squared distance, so the scale of the latent space does not matter,
    and a model cannot evade a penalty by a smaller latent space.
    """
    squared = (latent**2).sum(dim=1)
    distances = (squared[:, None] + squared - 2.0 * latent @ latent.T).clamp(min=0.0)
    return torch.exp(-distances / distances.detach().mean().clamp(min=1e-12))


def label_kernel(label: Tensor) -> Tensor:
    """Return 1.0 for pairs of cells with the same label and 0.0 for others, (cell, cell)."""
    return (label[:, None] == label).float()


def hsic(first: Tensor, second: Tensor) -> Tensor:
    """Return the unbiased estimate of the HSIC of two kernels (cell, cell); about 0 if independent.

    References
    ----------
    Song et al. 2012, "Feature selection via dependence maximization", equation 4.
    """
    n = len(first)
    off_diagonal = 1.0 - torch.eye(n, dtype=first.dtype, device=first.device)
    k, m = first * off_diagonal, second * off_diagonal
    sum_k, sum_m = k.sum(dim=1), m.sum(dim=1)
    trace = (k * m).sum()
    both = sum_k.sum() * sum_m.sum() / ((n - 1) * (n - 2))
    return (trace + both - 2.0 * (sum_k @ sum_m) / (n - 2)) / (n * (n - 3))


def dependence(first: Tensor, second: Tensor) -> Tensor:
    """Return the HSIC of two kernels, divided by the root of the HSIC of each with itself.

    It is at most 1, and about 0 if both are independent; the estimate may be negative. With fewer
    than `FEWEST_CELLS` cells, or if a variable is constant, it is 0.

    References
    ----------
    Kornblith et al. 2019, "Similarity of neural network representations revisited" (CKA).
    """
    if len(first) < FEWEST_CELLS:
        return first.new_zeros(())
    own = (hsic(first, first) * hsic(second, second)).clamp(min=1e-12)
    return hsic(first, second) * torch.rsqrt(own)
