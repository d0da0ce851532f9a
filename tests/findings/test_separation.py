"""How well a feature separates, held against brute force and scipy, and what chance does."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import fisher_exact, ks_2samp

from composer.findings.trace.separation import of_booleans, of_numbers

values = st.one_of(st.integers(-4, 4).map(float), st.just(float("nan")))
some = st.lists(values, min_size=1, max_size=12).map(np.array)
flags = st.lists(st.booleans(), min_size=1, max_size=12).map(np.array)
weighing = st.integers(1, 3)


def ones(rows):
    return np.ones(len(rows))


@given(some, some)
def test_the_cut_of_a_number_is_the_best_of_all_cuts_either_way(inside, outside):
    found = of_numbers(inside, outside, ones(outside))
    cuts = [cut for cut in np.concatenate([inside, outside]) if not np.isnan(cut)]
    best = max([0.0, *(side(inside, cut) - side(outside, cut) for cut in cuts for side in (below, above))])
    assert found.separation == pytest.approx(best)
    assert found.separation == pytest.approx(found.inside - found.outside)
    if found.cut is not None:
        side = above if found.above else below
        assert (side(inside, found.cut), side(outside, found.cut)) == pytest.approx((found.inside, found.outside))
        assert found.cut in inside


def below(rows, cut):
    return float((rows <= cut).mean())


def above(rows, cut):
    return float((rows >= cut).mean())


@given(some, some)
def test_only_the_order_of_numbers_counts(inside, outside):
    first, second = (
        of_numbers(of(inside), of(outside), ones(outside)) for of in (lambda x: x, lambda x: np.exp(x) * 3 - 1)
    )
    assert (first.separation, first.above, first.p) == (second.separation, second.above, second.p)


@given(flags, flags)
def test_a_boolean_is_a_number_that_is_0_or_1(inside, outside):
    boolean = of_booleans(inside, outside, ones(outside))
    number = of_numbers(inside.astype(float), outside.astype(float), ones(outside))
    assert number.separation == pytest.approx(abs(boolean.separation))


@given(st.lists(st.tuples(values, weighing), min_size=1, max_size=8), some)
def test_a_row_of_weight_2_separates_as_two_rows(others, inside):
    outside, weights = np.array([value for value, _ in others]), np.array([float(weight) for _, weight in others])
    found, twice = of_numbers(inside, outside, weights), np.repeat(outside, weights.astype(int))
    assert found.separation == pytest.approx(of_numbers(inside, twice, ones(twice)).separation)


@given(flags, flags)
def test_p_of_a_boolean_is_that_of_fisher(inside, outside):
    table = [[inside.sum(), (~inside).sum()], [outside.sum(), (~outside).sum()]]
    expected = fisher_exact(table, alternative="greater").pvalue
    assert of_booleans(inside, outside, ones(outside)).p == pytest.approx(expected)


@pytest.mark.parametrize("size", [4, 16, 48])
def test_p_of_a_number_is_near_that_of_kolmogorov_and_smirnov(size):
    rng = np.random.default_rng(size)
    inside, outside = rng.normal(0.7, 1, size), rng.normal(0, 1, 3000)
    expected = ks_2samp(inside, outside, method="exact").pvalue
    assert 0.95 * expected <= of_numbers(inside, outside, ones(outside)).p <= 1.6 * expected


@pytest.mark.parametrize("size", [1, 4, 16])
def test_rows_at_random_rarely_seem_apart(size):
    rng, level = np.random.default_rng(0), 0.05
    numbers, booleans = [], []
    for _ in range(600):
        rows = rng.integers(0, 40, 400).astype(float)
        rng.shuffle(rows)
        inside, outside = rows[:size], rows[size:]
        numbers.append(of_numbers(inside, outside, ones(outside)).p)
        booleans.append(of_booleans(inside < 4, outside < 4, ones(outside)).p)
    for found in (numbers, booleans):
        assert np.mean(np.array(found) <= level) <= level + 3 * np.sqrt(level / len(found))


def test_few_rows_cannot_be_sure():
    outside = np.arange(40.0)
    assert of_numbers(np.array([99.0]), outside, ones(outside)).p == pytest.approx(2 / 41)
    assert of_booleans(np.array([True]), outside < 0, ones(outside)).p == pytest.approx(1 / 41)
