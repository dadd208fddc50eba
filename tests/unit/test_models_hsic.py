"""The unbiased HSIC against its definition, and what minimising it does."""

from itertools import permutations

import pytest
import torch

from mcvae_ops.models.hsic import dependence, gaussian_kernel, hsic, label_kernel


def test_hsic_is_the_mean_over_all_distinct_quadruples():
    # HSIC = E k(x,x')l(y,y') + E k(x,x') E l(y,y') - 2 E k(x,x')l(y,y''), over distinct cells.
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(2, 6, 3, generator=generator, dtype=torch.float64)
    k, m = gaussian_kernel(x), gaussian_kernel(y)
    values = [
        k[a, b] * m[a, b] + k[a, b] * m[c, d] - 2 * k[a, b] * m[a, c]
        for a, b, c, d in permutations(range(6), 4)
    ]
    torch.testing.assert_close(hsic(k, m), torch.stack(values).mean())


def test_dependence_is_one_of_a_variable_with_itself_and_about_zero_if_independent():
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(2, 2000, 3, generator=generator)
    label = torch.randint(4, (2000,), generator=generator)
    kernel = gaussian_kernel(x)
    assert dependence(kernel, kernel).item() == pytest.approx(1.0, abs=1e-5)
    assert dependence(kernel, gaussian_kernel(1e-3 * x)).item() == pytest.approx(1.0, abs=1e-3)
    assert abs(dependence(kernel, gaussian_kernel(y)).item()) < 0.01
    assert abs(dependence(kernel, label_kernel(label)).item()) < 0.01
    shifted = x + torch.nn.functional.one_hot(label)[:, :3]
    assert dependence(gaussian_kernel(shifted), label_kernel(label)).item() > 0.05
    assert dependence(kernel[:3, :3], kernel[:3, :3]).item() == 0.0
    assert dependence(torch.ones(9, 9), kernel[:9, :9]).item() == pytest.approx(0.0, abs=1e-3)


def test_kernels_with_further_axes_are_compared_one_by_one():
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(2, 40, 3, generator=generator, dtype=torch.float64)
    columns = [gaussian_kernel(column[:, None]) for column in x.T]
    torch.testing.assert_close(gaussian_kernel(x.T[..., None]), torch.stack(columns))
    expected = torch.stack([dependence(column, gaussian_kernel(y)) for column in columns])
    torch.testing.assert_close(dependence(torch.stack(columns), gaussian_kernel(y)), expected)


def test_minimising_it_finds_the_direction_that_does_not_know_the_label():
    generator = torch.Generator().manual_seed(0)
    label = torch.randint(3, (600,), generator=generator)
    x = torch.randn(600, 2, generator=generator)
    x[:, 0] += 2.0 * label
    angle = torch.tensor(0.5, requires_grad=True)
    optimiser = torch.optim.Adam([angle], lr=0.05)
    for _ in range(100):
        optimiser.zero_grad()
        direction = torch.stack([torch.cos(angle), torch.sin(angle)])
        dependence(gaussian_kernel((x @ direction)[:, None]), label_kernel(label)).backward()
        optimiser.step()
    assert abs(torch.cos(angle).item()) < 0.1
