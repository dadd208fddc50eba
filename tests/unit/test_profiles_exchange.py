"""Exchange of labels within batches: against every exchange, batches, few controls, controls."""

import itertools

import numpy as np
import pytest
from scipy.stats import chisquare

from mcvae_ops.profiles import sequential
from mcvae_ops.profiles.exchange import _first_in_random_order, distance_of_means


def test_p_value_agrees_with_every_exchange_within_two_batches(monkeypatch):
    monkeypatch.setattr(sequential, "ENOUGH", 10**6)  # no exchange is spared
    rng = np.random.default_rng(0)
    latent = rng.normal(size=(10, 2))
    batch_of = np.array([0, 0, 0, 0, 0, 1, 1, 1, 1, 1])
    group_of = np.array([1, 1, 0, 0, 0, 1, 0, 0, 0, 0])
    latent[group_of == 1] += 0.8
    latent[batch_of == 1] += 5
    weights = [2 * 3 / 5, 1 * 4 / 5]

    def distance(chosen):
        total = 0
        for batch, weight in enumerate(weights):
            inside = batch_of == batch
            total += weight * (latent[inside & chosen].mean(0) - latent[inside & ~chosen].mean(0))
        return np.linalg.norm(total) / sum(weights)

    every = []
    for pair in itertools.combinations(range(5), 2):
        for one in range(5, 10):
            every.append(distance(np.isin(np.arange(10), [*pair, one])))
    observed = distance(group_of == 1)
    statistic, p_values = distance_of_means(latent, batch_of, group_of == 0, group_of, 8000, 0)
    assert statistic[1] == pytest.approx(observed)
    assert p_values[1] == pytest.approx(np.mean(np.array(every) >= observed - 1e-9), abs=0.02)
    assert np.isnan(statistic[0]) and np.isnan(p_values[0])  # the only group of controls


def test_the_first_of_random_orders_are_as_likely_as_any():
    rng = np.random.default_rng(3)
    order = _first_in_random_order(4, 3, 24_000, rng)
    _, n = np.unique(order, axis=0, return_counts=True)
    assert len(n) == 24 and chisquare(n).pvalue > 0.01
    assert (np.sort(_first_in_random_order(7, 7, 50, rng), axis=1) == np.arange(7)).all()


def test_a_batch_effect_is_no_effect_and_few_controls_do_not_make_one():
    rng = np.random.default_rng(1)
    p_values = []
    for _ in range(60):
        batch_of = np.repeat([0, 1, 2], 20)
        group_of = np.concatenate([np.repeat([0, 1], n) for n in ((5, 15), (15, 5), (10, 10))])
        latent = rng.normal(size=(60, 16)) + 4 * np.eye(16)[batch_of]
        p_values.append(distance_of_means(latent, batch_of, group_of == 0, group_of, 199, 0)[1][1])
    assert np.mean(np.array(p_values) < 0.05) <= 0.15 and 0.35 < np.mean(p_values) < 0.65


def test_control_groups_are_compared_with_the_others_and_batches_without_controls_left_out():
    rng = np.random.default_rng(2)
    group_of = np.repeat([0, 1, 2, 3], 12)
    is_control = group_of < 2
    batch_of = np.where(group_of == 3, 1, 0)
    latent = rng.normal(size=(48, 4))
    latent[group_of == 1] += 2
    distance, p_values = distance_of_means(latent, batch_of, is_control, group_of, 499, 0)
    means = [latent[group_of == k].mean(axis=0) for k in range(3)]
    assert distance[1] == pytest.approx(np.linalg.norm(means[1] - means[0]))
    assert p_values[1] == pytest.approx(1 / 500) and np.isnan(p_values[3])
    assert distance[2] == pytest.approx(np.linalg.norm(means[2] - (means[0] + means[1]) / 2))
