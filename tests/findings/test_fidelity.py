from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from composer.errors import ComposerError
from composer.findings import fidelity
from composer.findings.fidelity import rank_agreements, signal_to_noise
from composer.findings.statistics import NO_VARIANCE, ONE_ITEM, ONE_SEED, Items

Array = NDArray[np.float64]


def named(scores: list[float] | Array) -> dict[str, float]:
    return {f"arm {place}": float(score) for place, score in enumerate(scores)}


def agreement(small: list[float] | Array, large: list[float] | Array) -> fidelity.Agreement:
    return rank_agreements({"b": named(small)}, {"b": named(large)})["b"]


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=8, max_size=30))
def test_it_is_spearmans_correlation_and_its_t_test(pairs: list[tuple[int, int]]) -> None:
    small, large = ([float(one) for one in side] for side in zip(*pairs, strict=True))
    found = agreement(small, large)
    if len(set(small)) == 1 or len(set(large)) == 1:
        assert (found.spearman, found.reason) == (None, fidelity.ALL_EQUAL)
        return
    theirs = stats.spearmanr(small, large)
    assert found.spearman == pytest.approx(theirs.statistic, abs=1e-12)
    assert found.p == pytest.approx(theirs.pvalue, abs=1e-9)
    assert found.low is not None and found.high is not None
    assert -1 < found.low <= found.high < 1


def test_few_arms_are_tested_over_all_orders() -> None:
    assert agreement([1, 2, 3, 4, 5], [1, 2, 3, 4, 5]).p == pytest.approx(2 / 120)
    assert agreement([1, 2, 3, 4], [1, 2, 3, 4]).p == pytest.approx(2 / 24)


def test_a_perfect_order_of_few_arms_is_not_certain() -> None:
    found = agreement([1, 2, 3, 4], [10, 20, 30, 40])
    assert found.spearman == pytest.approx(1) and found.verdict == "cannot tell"
    assert found.low is not None and found.low < 0
    many = agreement(list(range(12)), list(range(12)))
    assert many.verdict == "same order" and many.low is not None and many.low > 0.8
    assert agreement(list(range(12)), list(range(12, 0, -1))).verdict == "reversed order"


def test_the_interval_covers_the_correlation_of_the_ranks() -> None:
    draws = np.random.default_rng(0)
    rho = 0.6
    truth = 6 / math.pi * math.asin(rho / 2)  # Spearman's of a bivariate normal
    covered, studies = 0, 400
    for _ in range(studies):
        small = draws.normal(size=30)
        found = agreement(small, rho * small + (1 - rho**2) ** 0.5 * draws.normal(size=30))
        assert found.low is not None and found.high is not None
        covered += found.low <= truth <= found.high
    assert abs(covered / studies - 0.95) < 3 * (0.95 * 0.05 / studies) ** 0.5


def test_benchmarks_are_corrected_together_and_only_common_arms_count() -> None:
    draws = np.random.default_rng(1)
    family = {f"b{place}": named(draws.normal(size=10)) for place in range(20)}
    small = {**family, "real": named(np.arange(10.0)), "alone": named([1.0])}
    large = {**{name: named(draws.normal(size=10)) for name in family}, "real": named(np.arange(12.0))}
    found = rank_agreements(small, large)
    assert "alone" not in found
    assert found["real"].arms == 10 and found["real"].verdict == "same order"
    assert all(one.verdict == "cannot tell" for name, one in found.items() if name != "real")
    assert all((one.p_corrected or 0) >= (one.p or 0) for one in found.values())


def test_three_arms_are_too_few() -> None:
    found = agreement([1, 2, 3], [1, 2, 3])
    assert (found.spearman, found.reason, found.verdict) == (None, fidelity.FEW_ARMS, "cannot tell")


def test_a_score_that_is_no_number_is_refused() -> None:
    with pytest.raises(ComposerError, match="arm 3 has the scores nan and 4"):
        agreement([1, 2, 3, math.nan], [1, 2, 3, 4])


# Signal to noise


def metric(signal: float, noise: float, seeds: int = 3, draw: int = 0) -> dict[str, dict[int, Array]]:
    """Six arms on five items; a seed moves all arms alike."""
    draws = np.random.default_rng(draw)
    own, of_seed, of_arm = draws.normal(0, 0.2, 5), draws.normal(0, 0.5, seeds), draws.normal(0, signal, 6)
    of_run = draws.normal(0, noise, (6, seeds))
    return {
        f"arm {arm}": {
            seed: own + float(0.5 + of_arm[arm] + of_seed[seed] + of_run[arm, seed]) for seed in range(seeds)
        }
        for arm in range(6)
    }


def test_it_is_the_analysis_of_variance_with_seeds_as_blocks() -> None:
    values = metric(0.02, 0.01)
    table = np.array([[of[seed].mean() for seed in range(3)] for of in values.values()])
    left = table - table.mean(axis=0) - table.mean(axis=1, keepdims=True) + table.mean()
    error = (left**2).sum() / (5 * 2)
    f = 3 * table.mean(axis=1).var(ddof=1) / error
    found = signal_to_noise("m", values)
    assert found.p == pytest.approx(stats.f.sf(f, 5, 10))
    assert found.noise_sd == pytest.approx((error / 3) ** 0.5)
    assert found.ratio == pytest.approx((f - 1) ** 0.5)
    assert (found.verdict, found.reason) == ("comparable", None)
    assert found.low is not None and found.high is not None and found.low < (f - 1) ** 0.5 < found.high


def test_a_metric_without_signal_is_too_noisy_and_says_why() -> None:
    verdicts = [signal_to_noise("m", metric(0, 0.01, draw=draw)).verdict for draw in range(200)]
    assert verdicts.count("comparable") <= 200 * 0.05 + 3 * (200 * 0.05 * 0.95) ** 0.5
    found = signal_to_noise("m", metric(0, 0.01, draw=3))
    assert found.verdict == "too noisy" and found.reason is not None
    assert "6 arms over 3 seeds" in found.reason and "no arm can be told from another" in found.reason


def test_the_interval_holds_the_ratio() -> None:
    held = []
    for draw in range(200):
        found = signal_to_noise("m", metric(0.02, 0.02, draw=draw))
        assert found.low is not None and found.high is not None
        held.append(found.low <= 3**0.5 <= found.high)
    assert abs(np.mean(held) - 0.95) < 3 * (0.95 * 0.05 / 200) ** 0.5


def answered(seeds: int, draw: int) -> dict[str, dict[int, Array]]:
    """Arms that differ in which of few items they answer, always the same ones."""
    draws = np.random.default_rng(draw)
    return {
        f"arm {arm}": {
            seed: known + draws.normal(0, 0.001)
            for seed, known in enumerate([draws.integers(0, 2, 10).astype(np.float64)] * seeds)
        }
        for arm in range(6)
    }


def test_on_random_items_the_draw_of_the_items_is_noise() -> None:
    fixed = [signal_to_noise("m", answered(3, draw)).verdict for draw in range(40)]
    random = [signal_to_noise("m", answered(3, draw), items="random").verdict for draw in range(40)]
    assert fixed.count("comparable") == 40
    assert random.count("comparable") <= 40 * 0.05 + 3 * (40 * 0.05 * 0.95) ** 0.5


def test_one_seed_can_be_too_noisy_by_items_but_never_comparable() -> None:
    assert signal_to_noise("m", answered(1, 0)).reason == ONE_SEED
    found = [signal_to_noise("m", answered(1, draw), items="random") for draw in range(40)]
    noisy = [one for one in found if one.verdict == "too noisy"]
    assert len(noisy) >= 30 and all("one seed" in (one.reason or "") for one in noisy)
    assert not [one for one in found if one.verdict == "comparable"]
    clear = {f"a{arm}": {0: np.array([0.1, 0.2, 0.3, 0.4]) * 0.01 + arm} for arm in range(3)}
    told = signal_to_noise("m", clear, items="random")
    assert (told.verdict, told.reason) == ("cannot tell", ONE_SEED)


def test_only_seeds_that_all_arms_have_count() -> None:
    values = metric(0.05, 0.01, seeds=4)
    del values["arm 0"][0], values["arm 3"][2]
    found = signal_to_noise("m", values)
    assert found.seeds == (1, 3) and found.verdict == "comparable"
    apart = {"a": {0: np.ones(2)}, "b": {1: np.ones(2)}}
    assert signal_to_noise("m", apart).reason == fidelity.NO_COMMON_SEED


@pytest.mark.parametrize(
    ("values", "items", "reason"),
    [
        ({}, "fixed", fidelity.ONE_ARM),
        ({"a": {0: np.ones(2), 1: np.ones(2)}}, "fixed", fidelity.ONE_ARM),
        ({"a": {0: np.ones(2), 1: np.ones(2)}, "b": {0: np.ones(2), 1: np.ones(2)}}, "fixed", fidelity.ALL_EQUAL),
        ({"a": {0: np.ones(2), 1: np.ones(2)}, "b": {0: np.zeros(2), 1: np.zeros(2)}}, "fixed", NO_VARIANCE),
        ({"a": {0: np.ones(1), 1: np.ones(1)}, "b": {0: np.zeros(1), 1: np.ones(1)}}, "random", ONE_ITEM),
    ],
)
def test_what_cannot_be_judged_is_said(values: fidelity.Arms, items: Items, reason: str) -> None:
    found = signal_to_noise("m", values, items)
    assert (found.verdict, found.reason, found.p) == ("cannot tell", reason, None)


def test_values_that_are_no_numbers_or_do_not_pair_are_refused() -> None:
    with pytest.raises(ComposerError, match="metric m, arm a, seed 0: item 0 has the value nan"):
        signal_to_noise("m", {"a": {0: np.array([math.nan])}})
    with pytest.raises(ComposerError, match="arm b, seed 0: 3 items where the first run has 2"):
        signal_to_noise("m", {"a": {0: np.ones(2)}, "b": {0: np.ones(3)}})
