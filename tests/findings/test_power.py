"""Power: what is said beforehand is what studies then find, by the very test that judges their gains."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from composer.artifacts import write_json
from composer.errors import FindingsError, RequestError
from composer.findings.find import find
from composer.findings.power import (
    RUNG,
    GainTest,
    Noise,
    declared_noise,
    known_noise,
    measured_noise,
    plan_power,
    seeds_needed,
    smallest_gain,
)
from composer.findings.statistics import Items, holm, paired_gain
from findings.run_folder import BENCHMARKS, write_run

STUDIES = 600


def noise(items: int = 60, seed: float = 0.02, item: float = 0.3, residual: float = 0.4) -> Noise:
    return Noise(items, seed, item, residual, "assumed")


def rule(seeds: int = 4, family: int = 1, items: Items = "fixed", power: float = 0.8) -> GainTest:
    return GainTest(seeds, family, 0.95, items, power)


@pytest.mark.parametrize("items", ["fixed", "random"])
@pytest.mark.parametrize(("seeds", "family"), [(3, 1), (5, 6)])
def test_studies_with_the_smallest_gain_find_it_as_often_as_was_said(items: Items, seeds: int, family: int) -> None:
    of, test = noise(), rule(seeds, family, items)
    gain = smallest_gain(of, test)
    assert gain is not None
    rng = np.random.default_rng([seeds, family])
    found = 0
    for _ in range(STUDIES):
        # On fixed items an item's own part is the same in every study, so its mean is part of the gain that is meant.
        own = rng.normal(0, of.item_sd, of.items)
        own -= own.mean() if items == "fixed" else 0.0
        difference = (
            gain + rng.normal(0, of.seed_sd, (seeds, 1)) + own + rng.normal(0, of.residual_sd, (seeds, of.items))
        )
        paired = paired_gain(difference, np.zeros_like(difference), 0.95, items)
        corrected = holm([paired.p, *[0.99] * (family - 1)])[0]
        assert paired.gain is not None and corrected is not None
        found += corrected < 0.05 and paired.gain > 0
    assert found / STUDIES == pytest.approx(test.power, abs=0.06)  # 0.06 are 3.7 standard errors


positive = st.floats(0.001, 0.5)


@settings(max_examples=40)
@given(st.integers(2, 8), st.integers(1, 50), st.integers(2, 400), positive, positive, positive)
def test_more_seeds_or_a_smaller_family_or_less_noise_see_smaller_gains(
    seeds: int, family: int, items: int, seed: float, item: float, residual: float
) -> None:
    def smallest(test: GainTest, scale: float = 1.0) -> float:
        found = smallest_gain(noise(items, scale * seed, scale * item, scale * residual), test)
        assert found is not None
        return found

    for kind in ("fixed", "random"):
        here = smallest(rule(seeds, family, kind))
        # Studies of more seeds are drawn anew, and where items are what scatters, seeds change little.
        assert smallest(rule(seeds + 2, family, kind)) < 1.05 * here
        assert smallest(rule(seeds, family + 5, kind)) > here
        assert smallest(rule(seeds, family, kind, power=0.9)) > here
        assert smallest(rule(seeds, family, kind), 2.0) == pytest.approx(2 * here)
    # What random items add to the interval outweighs what they add to chance, but for the noise of the simulation.
    assert smallest(rule(seeds, family, "random")) > 0.98 * smallest(rule(seeds, family))


@settings(max_examples=20)
@given(st.floats(0.01, 0.5), st.integers(1, 40))
def test_the_seeds_needed_are_the_fewest_that_do(gain: float, family: int) -> None:
    of = noise()
    needed = seeds_needed(of, gain, rule(family=family))
    if needed is None:
        assert smallest_gain(of, rule(100, family)) > gain  # type: ignore[operator]
        return
    assert smallest_gain(of, rule(needed, family)) <= gain  # type: ignore[operator]
    fewer = smallest_gain(of, rule(needed - 1, family))
    assert fewer is None or fewer > gain


def test_one_seed_or_one_item_that_speaks_of_others_sees_nothing() -> None:
    assert smallest_gain(noise(), rule(1)) is None
    assert smallest_gain(noise(items=1), rule(items="random")) is None
    assert smallest_gain(noise(items=1), rule()) is not None


def test_a_finished_run_tells_its_noise(run: Path) -> None:
    results = find(run)
    found = measured_noise(results, "a run")
    assert set(found) == set(BENCHMARKS)
    for name, of in found.items():
        gains = [gain for gain in results.gains if (gain.benchmark, gain.kind) == (name, "accuracy")]
        scatter = np.mean([np.var(gain.differences, ddof=1) for gain in gains])
        assert (of.items, of.source) == (150, "a run")
        assert of.seed_sd**2 + of.residual_sd**2 / of.items >= scatter * (1 - 1e-9)
        assert 0.1 < of.residual_sd < 1
        if of.seed_sd:
            assert of.seed_sd**2 + of.residual_sd**2 / of.items == pytest.approx(scatter)


def test_a_pilot_stands_before_what_is_declared(run: Path, tmp_path: Path) -> None:
    declared = {"seed_sd": 0.01, "item_sd": 0.2, "residual_sd": 0.3, "source": "a guess"}
    benchmarks = {
        "of": {"kmmlu_redux": {"items": 30}, "chess": {"items": 40}, "go": {"items": None}},
        "noise": {"kmmlu_redux": declared, "chess": declared, "go": declared},
        "limit": 35,
    }
    assert {name: of.items for name, of in declared_noise(benchmarks).items()} == {"kmmlu_redux": 30, "chess": 35}
    assert known_noise(benchmarks, None) == declared_noise(benchmarks)
    with pytest.raises(RequestError, match="results.json"):
        known_noise(benchmarks, run)
    find(run)
    known = known_noise(benchmarks, run)
    assert {name: of.source for name, of in known.items()} == {"kmmlu_redux": "measured in run", "chess": "a guess"}
    with pytest.raises(FindingsError, match="no gain with an interval on chess"):
        known_noise({"of": {"chess": {"items": 40}}, "noise": {}, "limit": None}, run)
    alone = write_run(tmp_path / "alone", seeds=1)
    find(alone)
    with pytest.raises(FindingsError, match="2 seeds"):
        known_noise({**benchmarks, "of": {"kmmlu_redux": {"items": 30}}}, alone)


def plan(**more: object) -> dict[str, object]:
    arms = {name: {"declared": True} for name in ("base", "a", "b", "ab")} | {"rung": {"declared": False}}
    points = [{"arm": name, "category": "mcqa"} for name in arms]
    effects = [{"weights": {"base": -0.5, "a": 0.5, "b": -0.5, "ab": 0.5}}]
    return {
        "arms": arms,
        "baseline": "base",
        "comparisons": {"a_over_b": {"arm": "a", "against": "b"}, "again": {"arm": "a", "against": "base"}},
        "findings": {"level": 0.95, "power": 0.8, "items": "fixed", "detect": 0.1},
        "benchmarks": {"x": None, "y": None},
        "designs": {
            "factorial": {"effects": effects, "points": points[:4], "findings": ["effects"]},
            "dose": {"effects": [], "points": [points[0], points[4]], "findings": ["dose"]},
        },
        "claims": {
            "said": {"arm": "b", "against": None, "expect": "worse"},
            "grows": {"arm": "rung", "against": None, "expect": "scales"},
        },
        "seeds": 4,
        **more,
    }


def test_a_plan_says_what_its_family_of_gains_can_see() -> None:
    found = plan_power(plan(), {"x": noise()})
    assert (
        found["family"] == 4 * 2
    )  # three over the baseline and one pair more, on two benchmarks; no rung of the ladder
    assert found["unknown"] == ["y"]
    assert found["benchmarks"]["x"]["smallest_gain"] == smallest_gain(noise(), rule(4, 8))
    assert found["benchmarks"]["x"]["seeds_needed"] == seeds_needed(noise(), 0.1, rule(4, 8))
    # One ladder on two benchmarks: its highest rung against its lowest.
    dose = found["designs"]["dose"]
    assert (dose["contrast"], dose["family"]) == (RUNG, 2)
    assert dose["benchmarks"]["x"] == {
        "smallest_gain": smallest_gain(noise(), rule(4, 2)),
        "seeds_needed": seeds_needed(noise(), 0.1, rule(4, 2)),
    }
    # An effect of four arms scatters less than a gain of two: by the root of 4 × 0.25 against 2.
    effect = found["designs"]["factorial"]
    assert effect["family"] == 2
    assert effect["benchmarks"]["x"]["smallest_gain"] == pytest.approx(
        (smallest_gain(noise(), rule(4, 2)) or 0.0) * 0.5**0.5
    )


def test_a_claim_about_a_rung_is_one_gain_more() -> None:
    said = {"arm": "rung", "against": "b", "expect": "equivalent"}
    assert plan_power(plan(claims={"said": said}), {"x": noise()})["family"] == 5 * 2


def test_a_plan_without_a_baseline_or_with_one_seed_sees_no_gain(tmp_path: Path) -> None:
    alone = plan_power(plan(baseline=None, comparisons={}, designs={}, claims={}), {"x": noise()})
    assert alone["family"] == 0 and alone["benchmarks"]["x"]["smallest_gain"] is None
    single = plan_power(plan(seeds=1), {"x": noise()})
    assert single["benchmarks"]["x"]["smallest_gain"] is None
    assert single["benchmarks"]["x"]["seeds_needed"] is not None
    write_json(tmp_path / "plan.json", single)  # no NaN, no infinity
