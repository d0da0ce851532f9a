"""What a surrogate says of mixtures whose scores are known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from composer.surrogate import Features, LogLinearLaw, Parts, Surrogate, cross_validate, promise
from composer.surrogate.warp import Warp

SIZE = 4


def mixtures(count, seed, size=SIZE):
    return np.random.default_rng(seed).dirichlet(np.ones(size), count)


def saturating(shares):
    """Diminishing returns of three categories, and none of the last."""
    return shares[:, :3] ** 0.5 @ np.array([1.0, 0.7, 0.3])


def bent(shares):
    """A mixing law: what is missing to 2 falls by a factor for each bit of a category."""
    return 2 - np.exp(-3 * shares[:, 0] - 1.5 * shares[:, 1])


@given(st.lists(st.floats(-100, 100), min_size=3, max_size=20, unique=True), st.floats(0.1, 10))
def test_a_warp_rises_and_leads_back(scores, gap):
    scores = np.sort(np.array(scores))
    if np.diff(scores).min() < 1e-6:
        return
    warp = Warp.of(scores, gap)
    assert warp.ceiling > scores.max() and (np.diff(warp(scores)) > 0).all()
    assert np.allclose(warp.back(warp(scores)), scores, atol=1e-6)
    step = 1e-6 * np.ptp(scores)
    assert np.allclose((warp(scores + step) - warp(scores - step)) / (2 * step), warp.slope(scores), rtol=1e-3)
    assert np.isinf(warp(np.array([warp.ceiling + 1.0]))).all()


def test_the_law_finds_the_law():
    shares, asked = mixtures(60, 0), mixtures(200, 1)
    law = LogLinearLaw.fit(shares, bent(shares), power=1.0)
    assert np.abs(law.predict(asked) - bent(asked)).max() < 0.02
    assert abs(law.ceiling - 2) < 0.1


@pytest.mark.parametrize("truth", [saturating, bent])
def test_predictions_of_few_runs_are_near_and_their_intervals_hold(truth):
    random = np.random.default_rng(3)
    shares, asked = mixtures(40, 3), mixtures(400, 4)
    scores = truth(shares) + 0.01 * random.standard_normal(len(shares))
    told = Surrogate.fit(Features(shares), scores, np.full(len(shares), 0.01)).predict(Features(asked))
    error = np.sqrt(((told.mean - truth(asked)) ** 2).mean())
    assert error < 0.1 * truth(asked).std()
    inside = ((told.low <= truth(asked)) & (truth(asked) <= told.high)).mean()
    assert inside > 0.85 and (told.low < told.high).all()
    assert (told.high - told.low).mean() < truth(asked).std()


def test_few_runs_of_a_straight_line_are_taken_for_one():
    shares, random = mixtures(12, 5, 10), np.random.default_rng(5)
    slopes = random.standard_normal(10)
    fitted = Surrogate.fit(Features(shares), shares @ slopes + 0.05 * random.standard_normal(12))
    assert fitted.best.kind == "linear"


def test_a_benchmark_that_is_noise_is_not_taken_for_a_trend_of_the_sum():
    random, asked = np.random.default_rng(6), mixtures(300, 7, 10)
    slopes, gains = random.standard_normal(10), []
    for seed in range(8):
        shares = mixtures(10, 100 + seed, 10)
        told = np.stack([shares @ slopes, 0.5 * random.standard_normal(10)], axis=1)
        parts = Parts(told, np.array([0.5, 0.5]))
        rank = [
            np.corrcoef(Surrogate.fit(Features(shares), told.mean(axis=1), parts=of).predict(Features(asked)).mean,
                        asked @ slopes)[0, 1]
            for of in (None, parts)
        ]  # fmt: skip
        gains.append(rank[1] - rank[0])
    assert np.mean(gains) > 0.05


def test_hyperparameters_of_a_part_of_the_runs_know_all_of_them():
    shares = mixtures(80, 8)
    fitted = Surrogate.fit(Features(shares), saturating(shares), most=30)
    told = fitted.predict(Features(shares)).mean
    assert np.abs(told - saturating(shares)).max() < 0.05 * saturating(shares).std()


def test_the_promising_candidate_is_a_good_one():
    shares, asked = mixtures(30, 9), mixtures(300, 10)
    scores, seen = saturating(shares)[:, None], Features(shares)
    promised = promise(seen, scores, Features(asked), seed=0)
    best = int(np.argmax(promised))
    assert (saturating(asked) > saturating(asked)[best]).mean() < 0.05


def test_several_objectives_promise_on_the_front_and_not_behind_it():
    shares, asked = mixtures(40, 11, 3), mixtures(200, 12, 3)
    both = np.stack([shares[:, 0] ** 0.5, shares[:, 1] ** 0.5], axis=1)
    best = int(np.argmax(promise(Features(shares), both, Features(asked), seed=0)))
    assert asked[best, 2] < 0.1  # the third category serves neither


def test_settings_are_learned_from_beside_the_shares():
    random, shares = np.random.default_rng(13), mixtures(40, 13, 3)
    rate = random.uniform(0, 1, (40, 1))
    scores = shares[:, 0] - 4 * (rate[:, 0] - 0.3) ** 2
    fitted = Surrogate.fit(Features(shares, rate), scores)
    grid = np.linspace(0, 1, 41)
    told = fitted.predict(Features(np.tile(shares[:1], (41, 1)), grid[:, None])).mean
    assert abs(grid[int(np.argmax(told))] - 0.3) < 0.1


def test_cross_validation_tells_a_signal_from_none():
    shares = mixtures(30, 14)
    good = cross_validate(Features(shares), saturating(shares))
    noise = cross_validate(Features(shares), np.random.default_rng(14).standard_normal(30))
    assert good.rank > 0.95 and good.error < 0.3 * good.spread
    assert noise.rank < 0.5
    with pytest.raises(ValueError, match="3 runs: cross-validation takes at least 4"):
        cross_validate(Features(shares[:3]), np.zeros(3))


@pytest.mark.parametrize("scores", [np.array([1.0]), np.array([1.0, np.nan]), np.array([1.0, np.inf])])
def test_what_cannot_be_fitted_is_refused(scores):
    with pytest.raises(ValueError, match="give at least 2, all finite"):
        Surrogate.fit(Features(mixtures(len(scores), 0)), scores)


def test_scores_that_do_not_vary_promise_nothing_and_break_nothing():
    shares = mixtures(8, 15)
    told = Surrogate.fit(Features(shares), np.ones(8)).predict(Features(mixtures(5, 16)))
    assert np.allclose(told.mean, 1.0, atol=0.2)
    assert np.isfinite(promise(Features(shares), np.ones((8, 1)), Features(mixtures(5, 16)), seed=0)).all()
