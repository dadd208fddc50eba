"""Sequential exchange of labels: p values by hand, the exchanges spent, one effect among 5,000."""

import numpy as np
import pytest

from mcvae_ops.benchmarks.hits.control_retrieval import retrieval_from_controls
from mcvae_ops.profiles.exchange import distance_of_means
from mcvae_ops.profiles.sequential import (
    ENOUGH,
    MEAN,
    Exchange,
    exchange_one_by_one,
    sequential_p_values,
    until_enough,
)
from mcvae_ops.profiles.significance import q_values
from tests.calibration.hits import genes_world


def drawn_from(as_far_of, asked):
    """A draw that reads from a table which exchanges are as far, (group, exchange)."""

    def draw(groups, rounds, wanted):
        asked.append((list(groups), rounds))
        part = as_far_of[groups][:, rounds.start : rounds.stop]
        for one in np.array_split(np.arange(len(groups)), 2):
            if len(one):
                yield groups[one], *until_enough(part[one], wanted[one])

    return draw


def test_enough_is_counted_up_to_the_exchange_that_completes_it():
    is_as_far = np.array([[0, 1, 0, 1, 1], [1, 1, 1, 1, 1], [0, 0, 0, 0, 1]], bool)
    done, as_far = until_enough(is_as_far, np.array([2, 3, 2]))
    assert list(done) == [4, 3, 5] and list(as_far) == [2, 3, 1]


def test_p_values_by_hand_and_exchanges_that_go_to_those_that_are_left():
    """Group 0 is always as far, 1 never, 2 every 50th time, 3 is not tested; 36 more are as 0."""
    as_far_of = np.zeros((40, 1000), bool)
    as_far_of[[0, *range(4, 40)]] = True
    as_far_of[2, 49::50] = True
    tested, asked = np.arange(40) != 3, []
    p_values = sequential_p_values(drawn_from(as_far_of, asked), tested, 100, "test")
    # 39 tests: a single discovery takes 780 exchanges
    assert [rounds for _, rounds in asked] == [
        range(100), range(100, 200), range(200, 400), range(400, 780)
    ]  # fmt: skip
    assert asked[0][0] == list(np.flatnonzero(tested)) and asked[1][0] == [1, 2]
    assert p_values[0] == 1 and p_values[1] == 1 / 781 and np.isnan(p_values[3])
    assert p_values[2] == pytest.approx((1 + 780 // 50) / 781)
    assert q_values(p_values, tested)[1] < 0.05


@pytest.mark.parametrize(
    ("permutations", "n_left", "exchanges"),
    [(100, 1, 800), (100, 5, 800), (100, 10, 400), (100, 21, 100), (400, 10, 800), (400, 11, 400)],
)
def test_beyond_permutations_all_together_have_no_more_than_a_few_each(
    permutations, n_left, exchanges
):
    as_far_of = np.ones((40, 1000), bool)
    as_far_of[:n_left] = False
    asked = []
    draw = drawn_from(as_far_of, asked)
    p_values = sequential_p_values(draw, np.ones(40, bool), permutations, "test")
    assert (p_values[:n_left] == 1 / (1 + exchanges)).all()
    assert exchanges == permutations or n_left * exchanges <= 40 * min(permutations, MEAN)
    # a group's last exchange depends on the others alone: it counts itself only if it is left
    assert asked[-1][1].stop == exchanges


def test_one_real_effect_among_5000_genes_is_the_only_hit():
    p_values = distance_of_means(*genes_world(0, 5000, 1, 6), 1000, 0)[1][1:]
    q = q_values(p_values, np.ones(5000, bool))
    assert list(np.flatnonzero(q < 0.05)) == [4999] and p_values[4999] < 2e-5
    others = p_values[:4999]
    assert (others < 0.05).mean() == pytest.approx(0.05, abs=0.015)


def test_groups_one_by_one_draw_the_same_in_any_order_and_may_have_no_test():
    seen = []

    def prepare(group):
        def as_far(n, rng):
            values = rng.random(n)
            seen.append((group, n, values[0]))
            return values < (0.001 if group == 2 else 0.5)

        return None if group == 1 else Exchange(float(group), as_far)

    tested = np.array([True, True, True, False])
    statistics, p_values = exchange_one_by_one(prepare, tested, 300, 5, "test")
    assert statistics[0] == 0 and statistics[2] == 2
    assert np.isnan(statistics[[1, 3]]).all() and np.isnan(p_values[[1, 3]]).all()
    assert 0.3 < p_values[0] < 0.8 and p_values[2] < 0.02
    first = next(value for group, _, value in seen if group == 2)
    assert first == np.random.default_rng([5, 2, 0]).random(300)[0]
    assert len(seen) == 3 and ENOUGH < 250  # one block for group 0, two for group 2


def test_p_values_do_not_depend_on_the_number_of_threads(monkeypatch):
    world = genes_world(0, 40, 5, 6)
    alone = distance_of_means(*world, 300, 0)
    monkeypatch.setattr("mcvae_ops.profiles.exchange.PART", 1 << 18)  # and of parts
    for threads in (1, 3):
        np.testing.assert_array_equal(distance_of_means(*world, 300, 0, threads), alone)
    one, several = (retrieval_from_controls(*world, 60, 0, threads) for threads in (1, 3))
    np.testing.assert_array_equal(one, several)
