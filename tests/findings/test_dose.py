from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from composer.errors import FindingsError
from composer.findings.dose import NO_TREND, ONE_DOSE, WRONG_WAY, DoseResponse, dose_response
from composer.findings.dose_adaptive import narrow_enough, next_dose
from composer.findings.dose_threshold import ABOVE, BELOW
from composer.findings.statistics import NO_VARIANCE, ONE_SEED

Array = NDArray[np.float64]
Scores = dict[float, dict[int, Array]]
DOSES = (0.0, 10.0, 20.0, 40.0, 80.0, 160.0, 320.0)


def ladder(
    half: float | None, power: float = 2.0, seeds: int = 3, items: int = 400, key: int = 0, gain: float = 0.4
) -> Scores:
    """Answers whose expected gain is a Hill curve of the dose, or nothing."""
    draws = np.random.default_rng(key)
    base = draws.uniform(0.1, 0.5, items)
    luck = draws.normal(0, 0.01, seeds)
    scores: Scores = {}
    for dose in DOSES:
        part = 0.0 if half is None or not dose else dose**power / (dose**power + half**power)
        chance = base + gain * part + luck[:, None]
        scores[dose] = dict(enumerate((draws.random((seeds, items)) < chance).astype(float)))
    return scores


def threshold_of(half: float, power: float = 2.0, fraction: float = 0.95) -> float:
    full = DOSES[-1] ** power / (DOSES[-1] ** power + half**power)
    return float(half * (fraction * full / (1 - fraction * full)) ** (1 / power))


def test_a_step_in_the_curve_is_found_where_it_is() -> None:
    found = dose_response(ladder(15.0, power=4.0))
    assert found.p is not None and found.p < 0.01
    threshold = found.threshold
    assert threshold is not None and threshold.low is not None and threshold.high is not None
    assert threshold.low < threshold_of(15.0, 4.0) < threshold.high
    assert threshold.low < threshold.dose < threshold.high
    assert {one.name for one in found.candidates} == {"flat", "linear", "emax", "hill"}
    assert sum(one.weight for one in found.candidates) == pytest.approx(1)
    assert max(found.candidates, key=lambda one: one.weight).name == "hill"


def test_no_threshold_is_given_before_a_test_shows_that_the_dose_matters() -> None:
    given_anyway = 0
    for key in range(60):
        found = dose_response(ladder(None, key=key, items=100))
        assert found.p is not None
        assert (found.threshold is None) == (found.reason is not None)
        if found.p >= 0.05:
            assert (found.threshold, found.curve, found.reason) == (None, (), NO_TREND)
        given_anyway += found.threshold is not None
    assert given_anyway <= 7  # 3 expected at 5 %, more than 7 once in a hundred


def test_intervals_cover_as_often_as_they_say() -> None:
    covered = told = 0
    for key in range(60):
        threshold = dose_response(ladder(25.0, key=key, items=200)).threshold
        if threshold is not None:
            told += 1
            low, high = threshold.low or 0.0, threshold.high or np.inf
            covered += low <= threshold_of(25.0) <= high
    assert told > 50
    assert covered / told > 0.88  # three standard errors below 95 % of 60


def test_an_end_that_the_doses_do_not_bound_is_said() -> None:
    below = dose_response(ladder(0.5)).threshold
    assert below is not None and (below.low, below.low_reason) == (None, BELOW)
    above = dose_response(ladder(2000.0, power=1.0, gain=2.0)).threshold
    assert above is not None and (above.high, above.high_reason) == (None, ABOVE)


def test_a_dose_that_harms_restores_nothing() -> None:
    scores = {320.0 - dose: of for dose, of in ladder(15.0).items()}
    found = dose_response(scores)
    assert (found.threshold, found.reason) == (None, WRONG_WAY)
    assert dose_response(scores, higher_is_better=False).threshold is not None


@given(st.integers(0, 5), st.integers(1, 64), st.integers(-64, 64))
def test_unit_and_origin_of_the_score_change_nothing(key: int, scale: int, shift: int) -> None:
    scores = ladder(20.0, key=key, seeds=2, items=64)
    plain = dose_response(scores)
    other = dose_response(_mapped(scores, lambda values: values * scale + shift))
    assert other.p == pytest.approx(plain.p, rel=1e-6)
    assert (other.threshold is None) == (plain.threshold is None)
    if plain.threshold is not None and other.threshold is not None:
        assert other.threshold.dose == pytest.approx(plain.threshold.dose, rel=1e-6)
        assert other.threshold.low == pytest.approx(plain.threshold.low, rel=1e-6)


@given(st.integers(0, 5), st.sampled_from([0.25, 8.0, 1024.0]))
def test_thresholds_are_in_the_unit_of_the_dose(key: int, unit: float) -> None:
    scores = ladder(20.0, key=key, seeds=2, items=64)
    plain, other = dose_response(scores), dose_response({dose * unit: of for dose, of in scores.items()})
    assert other.p == pytest.approx(plain.p, rel=1e-6)
    if plain.threshold is not None and other.threshold is not None:
        assert other.threshold.dose == pytest.approx(plain.threshold.dose * unit, rel=1e-6)


@given(st.randoms(use_true_random=False))
def test_the_order_of_doses_and_seeds_does_not_matter(random: object) -> None:
    scores = ladder(20.0, seeds=3, items=64)
    doses = list(scores)
    random.shuffle(doses)  # type: ignore[attr-defined]
    shuffled = {dose: dict(reversed(scores[dose].items())) for dose in doses}
    assert dose_response(shuffled) == dose_response(scores)


def test_averaged_curves_go_one_way() -> None:
    for key in range(5):
        gains = [point.gain for point in dose_response(ladder(30.0, key=key)).curve]
        assert gains == sorted(gains) and gains[0] == pytest.approx(0)


def test_too_little_to_say_anything_is_said() -> None:
    scores = ladder(15.0)
    assert dose_response({0.0: scores[0.0]}).reason == ONE_DOSE
    one_seed = {dose: {0: of[0]} for dose, of in scores.items()}
    assert (dose_response(one_seed).reason, dose_response(one_seed).p) == (ONE_SEED, None)
    equal = _mapped(scores, np.zeros_like)
    assert (dose_response(equal).reason, dose_response(equal).threshold) == (NO_VARIANCE, None)
    assert isinstance(dose_response(_mapped(scores, lambda values: values[:1])), DoseResponse)


def test_a_missing_seed_leaves_the_others(capsys: pytest.CaptureFixture[str]) -> None:
    scores = ladder(15.0, power=4.0)
    del scores[40.0][1]
    found = dose_response(scores)
    assert found.threshold is not None
    assert next(point.seeds for point in found.points if point.dose == 40.0) == (0, 2)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda scores: scores.clear(), "run"),
        (lambda scores: scores[40.0].update({1: np.array([np.nan] * 400)}), "finite"),
        (lambda scores: scores[40.0].update({1: np.zeros(3)}), "items"),
        (lambda scores: scores.update({-1.0: scores[0.0]}), "-1"),
    ],
)
def test_scores_that_cannot_be_are_refused(spoil: object, message: str) -> None:
    scores = ladder(15.0)
    spoil(scores)  # type: ignore[operator]
    with pytest.raises(FindingsError, match=message):
        dose_response(scores)
    with pytest.raises(FindingsError, match="fraction is 1"):
        dose_response(ladder(15.0), fraction=1.0)


def test_what_is_found_is_plain_json() -> None:
    json.dumps(dose_response(ladder(0.5)).to_json(), allow_nan=False)


def test_the_next_dose_narrows_the_interval() -> None:
    everything = ladder(25.0, power=4.0, seeds=4)
    tried = {dose: everything[dose] for dose in (0.0, 80.0, 320.0)}
    before = dose_response(tried)
    dose = next_dose(tried, DOSES)
    assert dose in {10.0, 20.0, 40.0}, "the gain is there at 80 already, so nothing above it is to be learned"
    after = dose_response({**tried, dose: everything[dose]})
    assert before.threshold is not None and after.threshold is not None
    assert _width(after) < _width(before)


def test_nothing_is_asked_where_nothing_is_left_or_nothing_is_known() -> None:
    scores = ladder(25.0)
    assert next_dose(scores, DOSES) is None
    assert next_dose({dose: {0: scores[dose][0]} for dose in (0.0, 320.0)}, DOSES) is None


def test_enough_is_when_the_ends_differ_by_the_factor() -> None:
    found = dose_response(ladder(15.0, power=4.0, seeds=5, items=1000))
    assert found.threshold is not None and found.threshold.low is not None and found.threshold.high is not None
    ratio = found.threshold.high / found.threshold.low
    assert narrow_enough(found, ratio * 1.01) and not narrow_enough(found, ratio * 0.99)
    assert not narrow_enough(dose_response(ladder(None)), 1e9)


def _width(found: DoseResponse) -> float:
    assert found.threshold is not None
    return (found.threshold.high or DOSES[-1]) - (found.threshold.low or 0.0)


def _mapped(scores: Mapping[float, Mapping[int, Array]], change: object) -> Scores:
    return {dose: {seed: change(of) for seed, of in seeds.items()} for dose, seeds in scores.items()}  # type: ignore[operator]
