from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy import stats

from composer.findings.statistics import (
    NO_SEED,
    NO_VARIANCE,
    ONE_ITEM,
    ONE_SEED,
    benjamini_hochberg,
    holm,
    paired_gain,
)

Array = NDArray[np.float64]


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Array, Array]:
    shape = (draw(st.integers(2, 6)), draw(st.integers(1, 8)))
    values = arrays(np.float64, shape, elements=st.integers(-1000, 1000).map(lambda n: n / 64))
    return draw(values), draw(values)


@given(pairs())
def test_swapping_the_arms_turns_the_gain_round(pair: tuple[Array, Array]) -> None:
    there, back = paired_gain(*pair), paired_gain(*pair[::-1])
    assert (there.gain, there.arm_mean, there.reason) == (-(back.gain or 0), back.against_mean, back.reason)
    assert there.p == back.p
    assert there.item_sd == back.item_sd
    if there.low is not None and back.high is not None:
        assert (there.low, there.high) == (-back.high, -(back.low or 0))


@given(pairs(), st.integers(-64, 64))
def test_a_shift_of_one_arm_shifts_the_interval_and_one_of_both_changes_nothing(
    pair: tuple[Array, Array], shift: int
) -> None:
    arm, against = pair
    plain, one, both = (
        paired_gain(arm, against),
        paired_gain(arm + shift, against),
        paired_gain(arm + shift, against + shift),
    )
    assert one.gain == pytest.approx((plain.gain or 0) + shift, abs=1e-9)
    assert both.gain == pytest.approx(plain.gain, abs=1e-9)
    assert plain.reason == one.reason == both.reason
    if plain.low is not None:
        assert one.low == pytest.approx(plain.low + shift, abs=1e-6)
        assert (both.low, both.high) == (pytest.approx(plain.low, abs=1e-6), pytest.approx(plain.high, abs=1e-6))


@given(pairs())
def test_it_is_the_paired_t_test_of_scipy(pair: tuple[Array, Array]) -> None:
    ours = paired_gain(*pair)
    if ours.reason is not None:
        assert np.ptp(pair[0].mean(axis=1) - pair[1].mean(axis=1)) == pytest.approx(0, abs=1e-9)
        return
    theirs = stats.ttest_rel(pair[0].mean(axis=1), pair[1].mean(axis=1))
    interval = theirs.confidence_interval(0.95)
    assert ours.df == theirs.df
    assert ours.p == pytest.approx(theirs.pvalue, rel=1e-6, abs=1e-12)
    assert (ours.low, ours.high) == (pytest.approx(interval.low, abs=1e-6), pytest.approx(interval.high, abs=1e-6))


def test_the_interval_covers_the_expected_gain_as_often_as_it_says() -> None:
    draws = np.random.default_rng(7)
    studies, seeds, items, gain = 2000, 4, 20, 0.03
    covered = 0
    for _ in range(studies):
        difficulty = draws.normal(0, 0.5, items)
        own = draws.normal(0, 0.02, (2, seeds, 1)) + draws.normal(0, 0.1, (2, seeds, items))
        found = paired_gain(difficulty + gain + own[0], difficulty + own[1])
        assert found.low is not None and found.high is not None
        covered += found.low <= gain <= found.high
    assert abs(covered / studies - 0.95) < 3 * (0.95 * 0.05 / studies) ** 0.5


def test_pairing_by_seed_finds_what_two_samples_miss() -> None:
    luck = np.random.default_rng(1).normal(0, 0.1, (5, 1))  # what a seed does to both arms alike
    own = np.random.default_rng(2).normal(0, 0.002, (2, 5, 30))
    arm, against = 0.52 + luck + own[0], 0.50 + luck + own[1]
    paired = paired_gain(arm, against)
    unpaired = stats.ttest_ind(arm.mean(axis=1), against.mean(axis=1))
    assert paired.p is not None and paired.p < 1e-4
    assert unpaired.pvalue > 0.1


def test_one_seed_gives_a_gain_without_an_interval() -> None:
    found = paired_gain(np.array([[1.0, 0.0, 1.0]]), np.array([[0.0, 0.0, 1.0]]))
    assert found.gain == pytest.approx(1 / 3)
    assert (found.low, found.high, found.p, found.df, found.reason) == (None, None, None, None, ONE_SEED)


def test_no_seed_gives_nothing() -> None:
    found = paired_gain(np.empty((0, 3)), np.empty((0, 3)))
    assert (found.gain, found.differences, found.reason) == (None, (), NO_SEED)


@pytest.mark.parametrize("shift", [0.0, 0.1])
def test_no_variance_over_seeds_is_said_rather_than_a_p_of_zero(shift: float) -> None:
    against = np.random.default_rng(0).random((3, 11))
    found = paired_gain(against + shift, against)
    assert found.gain == pytest.approx(shift)
    assert (found.low, found.p, found.reason) == (None, None, NO_VARIANCE)


def test_items_scatter_apart_from_seeds() -> None:
    items = np.array([0.0, 0.0, 1.0, 1.0])
    found = paired_gain(np.stack([items + 0.1, items - 0.1]), np.zeros((2, 4)))
    assert found.item_sd == pytest.approx(items.std(ddof=1))
    assert found.differences == pytest.approx((0.6, 0.4))


probabilities = st.lists(st.none() | st.floats(0, 1), max_size=12)


@given(probabilities)
def test_holm_is_monotone_at_least_raw_and_at_most_bonferroni(p: list[float | None]) -> None:
    found = holm(p)
    tested = sorted((raw, new) for raw, new in zip(p, found, strict=True) if raw is not None and new is not None)
    assert [new is None for new in found] == [raw is None for raw in p]
    assert [new for _, new in tested] == sorted(new for _, new in tested)
    assert all(raw <= new <= min(1.0, len(p) * raw) for raw, new in tested)


@given(probabilities, st.randoms())
def test_holm_does_not_depend_on_the_order(p: list[float | None], random: object) -> None:
    places = list(range(len(p)))
    random.shuffle(places)  # type: ignore[attr-defined]
    assert holm([p[place] for place in places]) == [holm(p)[place] for place in places]


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.01, None]) == [0.02, None]


@example([0.0, 0.0, 0.0, 0.0, 0.0, 0.10957635613960973])
@given(probabilities)
def test_benjamini_hochberg_is_that_of_scipy_and_no_larger_than_holm(p: list[float | None]) -> None:
    found = benjamini_hochberg(p)
    assert [new is None for new in found] == [raw is None for raw in p]
    if p:
        theirs = stats.false_discovery_control([1.0 if raw is None else raw for raw in p])
        assert all(new is None or new == pytest.approx(other) for new, other in zip(found, theirs, strict=True))
    assert all(new is None or new <= (other or 0) for new, other in zip(found, holm(p), strict=True))
    assert all(new is None or new >= (raw or 0) for new, raw in zip(found, p, strict=True))


@given(pairs(), st.integers(1, 640).map(lambda n: n / 64))
def test_equivalence_is_two_one_sided_t_tests(pair: tuple[Array, Array], margin: float) -> None:
    ours = paired_gain(*pair, margin=margin)
    if ours.reason is not None:
        assert ours.p_equivalent is None
        return
    differences = pair[0].mean(axis=1) - pair[1].mean(axis=1)
    above = stats.ttest_1samp(differences, -margin, alternative="greater").pvalue
    below = stats.ttest_1samp(differences, margin, alternative="less").pvalue
    assert ours.p_equivalent == pytest.approx(max(above, below), rel=1e-6, abs=1e-12)


def test_mcnemar_is_the_binomial_test_of_the_items_that_changed() -> None:
    draws = np.random.default_rng(3)
    arm, against = (draws.random((3, 40)) < share for share in (0.7, 0.4))
    found = paired_gain(arm.astype(float), against.astype(float)).mcnemar
    assert found is not None and len(found) == 3
    for ours, theirs, test in zip(arm, against, found, strict=True):
        gained, lost = int((ours & ~theirs).sum()), int((~ours & theirs).sum())
        assert (test.gained, test.lost) == (gained, lost)
        assert test.p == pytest.approx(stats.binomtest(gained, gained + lost).pvalue)
    assert paired_gain(arm * 0.5, against * 0.5).mcnemar is None
    nothing = paired_gain(arm.astype(float), arm.astype(float)).mcnemar
    assert nothing is not None and {test.p for test in nothing} == {1.0}


def test_one_item_speaks_of_no_other() -> None:
    arm, against = np.array([[1.0], [0.0], [1.0]]), np.zeros((3, 1))
    assert paired_gain(arm, against, items="random").reason == ONE_ITEM
    assert paired_gain(arm, against, items="fixed").p is not None


def test_variance_components_are_those_the_differences_were_drawn_with() -> None:
    draws = np.random.default_rng(11)
    seeds, items = 60, 400
    parts = draws.normal(0, 0.05, (seeds, 1)), draws.normal(0, 0.2, (1, items)), draws.normal(0, 0.3, (seeds, items))
    found = paired_gain(sum(parts, start=np.full((seeds, items), 0.1)), np.zeros((seeds, items)))
    assert (found.seed_sd, found.item_sd) == (pytest.approx(0.05, rel=0.25), pytest.approx(0.2, rel=0.1))
    assert found.residual_sd == pytest.approx(0.3, rel=0.02)


@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_on_random_items_the_interval_covers_the_gain_on_all_such_items(seeds: int) -> None:
    draws = np.random.default_rng(5)
    studies, items, gain, covered = 1000, 60, 0.03, 0
    for _ in range(studies):
        own = draws.normal(0, 0.02, (seeds, 1)) + draws.normal(0, 0.1, items) + draws.normal(0, 0.1, (seeds, items))
        found = paired_gain(gain + own, np.zeros((seeds, items)), items="random")
        assert found.low is not None and found.high is not None
        covered += found.low <= gain <= found.high
    assert covered / studies > 0.95 - 3 * (0.95 * 0.05 / studies) ** 0.5
