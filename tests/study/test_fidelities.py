"""How far cheap runs are believed."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from composer.study.fidelities import Cheap, agreement, hints

WEIGHTS = [0.5, 0.5]


def runs(seed, count, agrees, paired):
    """Cheap runs on two benchmarks, each of whose dear scores follows the cheap ones or not."""
    random = np.random.default_rng(seed)
    shares = random.dirichlet(np.ones(3), count)
    values = shares[:, :2] + 0.02 * random.standard_normal((count, 2))
    dear = np.stack([shares[:, b] if agrees[b] else random.standard_normal(count) for b in range(2)], axis=1)
    dear[paired:] = np.nan
    return Cheap("small", shares, values, dear)


@given(st.lists(st.integers(-50, 50), min_size=5, max_size=30, unique=True))
def test_agreement_is_of_ranks_and_less_than_what_was_measured(scores):
    scores = np.array(scores)
    assert 0.7 < agreement(scores, scores**3) < 1 and agreement(scores, -scores) == 0


def test_few_pairs_and_scores_that_do_not_vary_are_believed_nothing():
    assert agreement(np.arange(4.0), np.arange(4.0)) == 0
    assert agreement(np.arange(8.0), np.ones(8)) == 0


def test_chance_is_seldom_believed_much():
    random = np.random.default_rng(0)
    found = np.array([agreement(*random.standard_normal((2, 10))) for _ in range(500)])
    assert (found > 0).mean() < 0.2 and (found > 0.5).mean() < 0.02


def test_each_benchmark_is_believed_by_itself():
    one = runs(1, 40, (True, False), 12)
    trust = one.trust()
    assert trust[0] > 0.8 and trust[1] < 0.5 and one.useful(WEIGHTS)
    assert not runs(3, 40, (False, False), 12).useful([1.0, 0.0])


def test_hints_order_mixtures_as_the_benchmarks_that_are_believed_do():
    one, asked = runs(1, 40, (True, False), 12), np.random.default_rng(2).dirichlet(np.ones(3), 100)
    one.dear[:12, 1] = 0.0  # does not vary: nothing is believed of it
    (column,) = hints([one], WEIGHTS, asked).T
    assert np.corrcoef(column, asked[:, 0])[0, 1] > 0.9


def test_what_is_not_believed_gives_no_hint():
    asked = np.random.default_rng(2).dirichlet(np.ones(3), 7)
    one = runs(1, 40, (True, True), 12)
    one.dear[:12] = -one.values[:12]
    assert hints([one], WEIGHTS, asked).shape == (7, 0)
    assert hints([], WEIGHTS, asked).shape == (7, 0)
