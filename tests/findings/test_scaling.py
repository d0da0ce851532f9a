from __future__ import annotations

import dataclasses
import math
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from composer.errors import ComposerError
from composer.findings import scaling
from composer.findings.power_law import GRID, Interval, Runs, fit, noise
from composer.findings.scaling import Prediction, ScalingCurve, scaling_curve, scaling_curves
from composer.findings.statistics import NO_VARIANCE, ONE_ITEM, ONE_SEED, Items
from composer.findings.trend import page_test

Array = NDArray[np.float64]
SIZES = [1000.0 * 2**step for step in range(6)]


def study(
    exponent: float = 0.5,
    drop: float = 0.3,
    seeds: int = 3,
    sd: float = 0.004,
    sizes: list[float] | None = None,
    n_items: int = 20,
    draw: int = 0,
) -> dict[float, dict[int, Array]]:
    draws = np.random.default_rng(draw)
    own, of_seed = draws.normal(0, 0.1, n_items), draws.normal(0, sd, seeds)
    own -= own.mean()
    return {
        size: {
            seed: 0.7 - drop * (size / 1000) ** -exponent + of_seed[seed] + draws.normal(0, sd) + own
            for seed in range(seeds)
        }
        for size in (sizes or SIZES)
    }


def numbers(curve: object) -> list[object]:
    """Every leaf of a result."""
    if dataclasses.is_dataclass(curve):
        return [leaf for field in dataclasses.fields(curve) for leaf in numbers(getattr(curve, field.name))]
    return [leaf for one in curve for leaf in numbers(one)] if isinstance(curve, tuple) else [curve]


def holds(interval: Interval | None, truth: float) -> bool:
    assert interval is not None
    return (interval.low is None or interval.low <= truth) and (interval.high is None or truth <= interval.high)


# The test of trend


@given(st.lists(st.integers(0, 3), min_size=2, max_size=5))
def test_page_counts_all_orders_of_one_seed(scores: list[int]) -> None:
    weights = np.arange(len(scores))
    ranks = stats.rankdata(scores)
    found = page_test([np.array(scores, dtype=np.float64)])
    all_ = [float(weights @ np.array(order)) for order in permutations(ranks)]
    ours = float(weights @ ranks)
    tails = (np.mean([one <= ours + 1e-9 for one in all_]), np.mean([one >= ours - 1e-9 for one in all_]))
    assert found.p == pytest.approx(min(1.0, 2 * min(tails)))


def test_page_agrees_with_scipy_where_both_are_exact() -> None:
    table = np.random.default_rng(3).normal(0, 1, (4, 5)) + 0.4 * np.arange(5)
    theirs = stats.page_trend_test(table, method="exact")
    ours = page_test(list(table))
    assert ours.sign == 1
    assert ours.p == pytest.approx(2 * theirs.pvalue)


def test_page_with_many_sizes_is_near_scipys_normal_approximation() -> None:
    table = np.random.default_rng(4).normal(0, 1, (3, 9)) + 0.1 * np.arange(9)
    theirs = stats.page_trend_test(table, method="asymptotic")
    assert page_test(list(table)).p == pytest.approx(2 * theirs.pvalue, rel=1e-6)


def test_the_smallest_p_is_that_of_perfect_order() -> None:
    blocks = [np.arange(4.0), np.arange(3.0)]
    assert page_test(blocks).p == page_test(blocks).smallest == pytest.approx(2 / (24 * 6))


# The law


def test_the_likeliest_exponent_is_that_of_nonlinear_least_squares() -> None:
    from scipy.optimize import curve_fit

    values = study(exponent=0.6)
    sizes, scores = zip(*((size, float(np.mean([*runs.values()]))) for size, runs in values.items()), strict=True)
    theirs, _ = curve_fit(lambda n, a, b, c: a - b * (n / 1000) ** -c, sizes, scores, p0=(0.7, 0.3, 0.5))
    found = scaling_curve(values)
    assert found.exponent is not None and found.exponent.value == pytest.approx(theirs[2], rel=0.05)  # the grid's step
    assert found.asymptote is not None and found.asymptote.value == pytest.approx(theirs[0], abs=0.005)
    assert found.coefficient is not None and found.exponent.value is not None
    assert found.coefficient == pytest.approx(theirs[1] * 1000**found.exponent.value, rel=0.1)


def test_the_band_is_the_law_that_is_told() -> None:
    found = scaling_curve(study(), predict=[100_000])
    assert found.exponent is not None and found.exponent.value is not None
    assert found.asymptote is not None and found.asymptote.value is not None and found.coefficient is not None
    assert len(found.band) == scaling.BAND
    assert [found.band[0].size, found.band[-1].size] == pytest.approx([1000, 100_000])
    for at in (*found.band, *found.predictions):
        law = found.asymptote.value - found.coefficient * at.size**-found.exponent.value
        assert at.expected.value == pytest.approx(law, abs=1e-9)
        assert at.run.value == at.expected.value
        assert wider(at)


def wider(at: Prediction) -> bool:
    ends = (at.run.low, at.expected.low, at.expected.high, at.run.high)
    assert None not in ends
    return list(ends) == sorted(end for end in ends if end is not None)


def test_the_truth_is_inside_its_intervals() -> None:
    found = scaling_curve(study(exponent=0.5), predict=[64_000])
    assert (found.verdict, found.reason) == ("scales", None)
    assert holds(found.exponent, 0.5)
    assert holds(found.asymptote, 0.7)
    assert holds(found.predictions[0].expected, 0.7 - 0.3 * 64**-0.5)
    assert found.hold_out is not None and found.hold_out.inside and found.hold_out.size == SIZES[-1]
    assert found.seed_sd is not None and found.run_sd == pytest.approx(0.004, rel=0.6)
    assert found.p_form is not None and found.p_form > 0.05


@pytest.mark.parametrize("items", ["fixed", "random"])
def test_intervals_cover_as_often_as_they_say(items: Items) -> None:
    draws = np.random.default_rng(5)
    studies, seeds, sd = 150, 3, 0.01
    exponent = prediction = flat = 0
    for draw in range(studies):
        truth = float(draws.uniform(0.3, 0.8))
        values = study(exponent=truth, seeds=seeds, sd=sd, draw=draw, n_items=10)
        found = scaling_curve(values, items=items, predict=[64_000])
        new = 0.7 - 0.3 * 64**-truth + draws.normal(0, sd) + draws.normal(0, sd)
        exponent += holds(found.exponent, truth)
        prediction += holds(found.predictions[0].run, new)
        flat += scaling_curve(study(drop=0, seeds=seeds, sd=sd, draw=draw + 1000), items=items).verdict != "cannot tell"
    lowest = 0.95 - 3 * (0.95 * 0.05 / studies) ** 0.5
    assert exponent / studies > lowest and prediction / studies > lowest
    assert flat / studies < 0.05 + 3 * (0.95 * 0.05 / studies) ** 0.5


def test_a_loss_is_the_mirror_of_a_score() -> None:
    up, down = study(), {size: {seed: -of for seed, of in runs.items()} for size, runs in study().items()}
    risen, fallen = scaling_curve(up), scaling_curve(down, higher_is_better=False)
    assert fallen.verdict == risen.verdict == "scales"
    assert fallen.exponent == risen.exponent
    assert fallen.coefficient == pytest.approx(-(risen.coefficient or 0))
    assert scaling_curve(down).verdict == "worsens"
    for there, back in zip(risen.band, fallen.band, strict=True):
        assert there.run.low == pytest.approx(-(back.run.high or 0))
        assert there.run.high == pytest.approx(-(back.run.low or 0))


@given(st.sampled_from([0.001, 1.0, 7.0]), st.sampled_from([0.5, 100.0]))
def test_units_of_size_and_score_do_not_matter(size_unit: float, score_unit: float) -> None:
    plain = scaling_curve(study())
    other = scaling_curve(
        {n * size_unit: {seed: of * score_unit for seed, of in runs.items()} for n, runs in study().items()}
    )
    assert plain.exponent is not None and other.exponent is not None
    assert dataclasses.astuple(other.exponent) == pytest.approx(dataclasses.astuple(plain.exponent))
    assert other.predictions[0].run.high == pytest.approx((plain.predictions[0].run.high or 0) * score_unit)


def test_a_logarithm_has_no_asymptote_and_a_step_no_upper_end() -> None:
    draws = np.random.default_rng(0)
    log = {n: {s: np.array([0.05 * math.log(n) + draws.normal(0, 0.01)]) for s in range(3)} for n in SIZES}
    found = scaling_curve(log)
    assert found.exponent is not None and found.exponent.low is None
    assert found.asymptote is not None and found.asymptote.high is None
    step = {n: {s: np.array([0.3 + 0.3 * (n > 1000) + draws.normal(0, 0.02)]) for s in range(5)} for n in SIZES[:4]}
    runs = Runs(
        np.repeat(SIZES[:4], 5), np.tile(np.arange(5), 4), np.array([v[0] for of in step.values() for v in of.values()])
    )
    profile = fit(runs, noise(runs, [v for of in step.values() for v in of.values()], "fixed"))
    assert profile.exponent(0.95).high is None and profile.best > GRID / 2


def test_a_wrong_form_is_told_by_its_lack_of_fit() -> None:
    draws = np.random.default_rng(0)
    late = {n: {s: np.array([0.3 + 0.3 * (n > 9000) + draws.normal(0, 0.005)]) for s in range(3)} for n in SIZES}
    found = scaling_curve(late)
    assert found.verdict == "scales"
    assert found.p_form is not None and found.p_form < 1e-6


def test_random_items_make_a_shared_draw_of_items_no_trend() -> None:
    # Every seed sees the same few items, and by their draw, which differs from size to size, the means rise.
    draws = np.random.default_rng(2)
    values: dict[float, dict[int, Array]] = {}
    for place, size in enumerate(SIZES):
        drawn = draws.normal(0, 0.4, 12)
        drawn += 0.5 + 0.02 * place - drawn.mean()
        values[size] = {seed: drawn + draws.normal(0, 0.001) for seed in range(4)}
    assert scaling_curve(values, items="fixed").verdict == "scales"
    found = scaling_curve(values, items="random")
    assert found.verdict == "cannot tell" and found.p is not None and found.p > 0.1


def test_random_items_widen_the_prediction_of_a_run() -> None:
    fixed, random = (scaling_curve(study(n_items=30), items=items).predictions[0].run for items in ("fixed", "random"))
    assert fixed.high is not None and random.high is not None and random.low is not None and fixed.low is not None
    assert random.high - random.low > 2 * (fixed.high - fixed.low)


# The family


def test_several_trends_are_corrected_for_being_several() -> None:
    family = {f"benchmark {place}": study(drop=0, draw=place) for place in range(30)}
    weak = study(drop=0.3, sizes=SIZES[:3], seeds=2, sd=0.0001)
    alone, among = scaling_curve(weak), scaling_curves({**family, "weak": weak})["weak"]
    assert alone.p == among.p == alone.p_corrected
    assert among.p_corrected is not None and among.p is not None and among.p_corrected > among.p
    some = study(drop=0.3, sizes=SIZES[:3], seeds=3, sd=0.0001)
    assert scaling_curve(some).verdict == "scales"
    drowned = scaling_curves({**family, "some": some})["some"]
    assert (drowned.verdict, drowned.exponent) == ("cannot tell", None)
    assert drowned.reason is not None and "no monotone trend" in drowned.reason


# What cannot be told


def silent(found: ScalingCurve) -> bool:
    return found.exponent is None and found.asymptote is None and not found.band and not found.predictions


def test_a_flat_curve_has_no_exponent() -> None:
    found = scaling_curve(study(drop=0, draw=1))
    assert found.verdict == "cannot tell" and silent(found)
    assert found.reason is not None and "no monotone trend" in found.reason
    assert len(found.points) == len(SIZES) and found.points[0].seeds == (0, 1, 2)


def test_two_sizes_can_show_a_trend_but_no_law() -> None:
    found = scaling_curve(study(sizes=SIZES[:2], seeds=8))
    assert (found.verdict, found.reason) == ("scales", scaling.TWO_SIZES) and silent(found)


@pytest.mark.parametrize(
    ("seeds", "sizes", "reason"),
    [(1, 6, ONE_SEED), (3, 1, scaling.ONE_SIZE), (2, 3, scaling.TOO_FEW), (2, 2, scaling.TOO_FEW)],
)
def test_too_little_to_test_is_said(seeds: int, sizes: int, reason: str) -> None:
    found = scaling_curve(study(seeds=seeds, sizes=SIZES[:sizes]))
    assert (found.verdict, found.reason) == ("cannot tell", reason) and silent(found)


def test_equal_scores_and_equal_seeds_give_no_certainty() -> None:
    flat = {n: {s: np.array([0.1, 0.7]) for s in range(3)} for n in SIZES}
    found = scaling_curve(flat)
    assert (found.verdict, found.p, found.reason) == ("cannot tell", None, scaling.ALL_EQUAL)
    same = {n: {s: np.array([0.1, 0.7]) * math.log(n) for s in range(3)} for n in SIZES}
    found = scaling_curve(same)
    assert (found.verdict, found.reason) == ("scales", NO_VARIANCE) and silent(found)
    found = scaling_curve(same, items="random")
    assert (found.verdict, found.p, found.reason) == ("cannot tell", None, NO_VARIANCE)


def test_one_item_carries_a_curve_on_itself_only() -> None:
    values = study(n_items=1)
    assert scaling_curve(values).exponent is not None
    assert scaling_curve(values, items="random").reason == ONE_ITEM


def test_seeds_may_lack_sizes() -> None:
    values = study(seeds=4)
    del values[SIZES[-1]][3], values[SIZES[0]][0], values[SIZES[2]][1]
    found = scaling_curve(values)
    assert found.verdict == "scales" and holds(found.exponent, 0.5)
    assert found.hold_out is not None and found.hold_out.seeds == (0, 1, 2)


def test_seeds_that_share_no_size_leave_no_noise_to_judge_by() -> None:
    values = study(seeds=4, sizes=SIZES[:5])
    apart = {n: {s: of for s, of in runs.items() if s == k // 2} for k, (n, runs) in enumerate(values.items())}
    found = scaling_curve(apart)
    assert found.verdict == "cannot tell" and silent(found)


def test_a_hold_out_needs_three_smaller_sizes() -> None:
    found = scaling_curve(study(sizes=SIZES[:3], sd=0.0005))
    assert found.exponent is not None and found.hold_out is not None
    assert (found.hold_out.predicted, found.hold_out.reason) == (None, scaling.FEW_FOR_HOLD_OUT)


def test_a_largest_size_that_breaks_the_law_falls_outside() -> None:
    values = study(sd=0.001)
    values[SIZES[-1]] = {seed: of + 0.3 for seed, of in values[SIZES[-1]].items()}
    found = scaling_curve(values)
    assert found.hold_out is not None and found.hold_out.inside is False


def test_the_hold_out_is_judged_on_seeds_that_smaller_sizes_have() -> None:
    values, plain = study(), scaling_curve(study()).hold_out
    values[SIZES[-1]][9] = np.full(20, 5.0)
    found = scaling_curve(values).hold_out
    assert found is not None and plain is not None
    assert (found.seeds, found.measured, found.inside) == (plain.seeds, plain.measured, plain.inside)


def test_a_size_not_yet_run_has_its_own_draw_of_random_items() -> None:
    draws = np.random.default_rng(6)
    crossed = {size: draws.normal(0, 0.5, 40) for size in SIZES}
    values = study(seeds=4, sd=0.002, n_items=40)
    table = [values[size][seed] + crossed[size] for size in SIZES for seed in range(4)]
    runs = Runs(np.repeat(SIZES, 4), np.tile(np.arange(4), len(SIZES)), np.array([of.mean() for of in table]))
    law = fit(runs, noise(runs, table, "random"))
    assert law.noise.item_size.variance == pytest.approx(0.5**2 / 40, rel=0.3)
    found = law.same_seeds(4000, np.arange(4), 0.95)  # among the sizes, where the curve itself is known best
    assert found.high is not None and found.low is not None
    drawn = stats.t.ppf(0.975, law.noise.shape.df) * (law.noise.item_size.variance * (1 + 1 / len(SIZES))) ** 0.5
    assert drawn < (found.high - found.low) / 2 < 3 * drawn


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "no run"),
        ({1000.0: {}}, "no run"),
        ({0.0: {0: np.ones(2)}}, "size 0"),
        ({math.nan: {0: np.ones(2)}}, "size nan"),
        ({1000.0: {0: np.array([1.0, math.nan])}}, "item 1 has the value nan"),
        ({1000.0: {0: np.empty(0)}}, "at least one"),
        ({1000.0: {0: np.ones(2), 1: np.ones(3)}}, "3 items where the first run has 2"),
    ],
)
def test_what_is_no_study_is_refused(values: dict[float, dict[int, Array]], message: str) -> None:
    with pytest.raises(ComposerError, match=message):
        scaling_curve(values)


def test_the_same_input_gives_the_same_result_whatever_its_order() -> None:
    values = study()
    turned = {n: dict(reversed(runs.items())) for n, runs in reversed(values.items())}
    assert scaling_curve(values) == scaling_curve(turned)
    assert all(type(leaf) in (float, int, str, bool, type(None)) for leaf in numbers(scaling_curve(values)))
    finite = [leaf for leaf in numbers(scaling_curve(values)) if isinstance(leaf, float)]
    assert np.isfinite(finite).all()
