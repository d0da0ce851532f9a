from __future__ import annotations

import itertools
import json
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import numpy as np
import pytest
from scipy import stats

from composer.artifacts import read_json, write_json
from composer.findings import Results, find
from composer.findings.power import known_noise, plan_power
from composer.findings.search import SearchFinding
from composer.findings.selection import expected_maximum, selection_quantile
from composer.findings.statistics import ONE_SEED
from composer.report.search_wording import found_said
from findings.run_folder import write_run
from findings.search_run import peaked, planned, write_search

NOW = ("study.seeds=3", "study.baseline=now", "study.arms.now.label=Now")
APART = ("study.seeds=2", "study.search.pareto=[cost,kmmlu_redux,daily]", "study.search.size=[40,90]")


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("searched") / "run"
    write_search(run, planned(*NOW))
    find(run)
    return run


def finding(run: Path) -> SearchFinding:
    found = find(run).search
    assert found is not None
    return found


def test_an_arm_has_the_mean_and_the_noise_of_its_objective(searched: Path) -> None:
    results, found = Results.read(searched), finding(searched)
    assert [one.arm for one in found.arms] == ["now", *(f"p{number:03d}" for number in range(8))]
    assert [one.proposed for one in found.arms] == [False] + [True] * 8
    assert (found.asked, found.made, found.failed, found.unfinished) == (8, 8, (), ())
    spread = []
    for one in found.arms:
        of = [results.score(one.arm, benchmark.name, "accuracy").values for benchmark in results.benchmarks]
        by_seed = [fmean(values) for values in zip(*of, strict=True)]
        assert [value for (value,) in one.by_seed] == pytest.approx(by_seed)
        assert one.values == (pytest.approx(fmean(by_seed)),)
        assert one.sd == (pytest.approx(stdev(by_seed)),)
        spread.append(stdev(by_seed) ** 2)
    pooled = fmean(spread) ** 0.5  # all have as many seeds
    assert found.objectives[0].sd == pytest.approx(pooled)
    assert all(one.se == (pytest.approx(pooled / 3**0.5),) for one in found.arms)


def test_ranks_and_the_best_so_far_follow_the_means(searched: Path) -> None:
    arms = finding(searched).arms
    values = [one.values[0] for one in arms]
    assert [one.rank for one in arms] == [1 + sum(other > value for other in values) for value in values]
    assert [one.best_so_far for one in arms] == list(itertools.accumulate(values, max))
    best = finding(searched).best
    assert best is not None and best.value == max(values)
    assert best.runner_up is not None
    assert best.runner_up.gain == pytest.approx(max(values) - sorted(values)[-2])
    assert fmean(best.runner_up.differences) == pytest.approx(best.runner_up.gain)


def test_what_may_be_the_best_is_within_the_margin_of_pooled_paired_noise(searched: Path) -> None:
    found = finding(searched)
    best, signal = found.best, found.objectives[0].signal
    assert best is not None and best.margin is not None and signal is not None
    table = np.array([[value for (value,) in one.by_seed] for one in found.arms])
    left = table - table.mean(axis=0) - table.mean(axis=1, keepdims=True) + table.mean()
    freedom = 8 * 2
    noise = float(((left**2).sum() / freedom / 3) ** 0.5)
    assert signal.noise_sd == pytest.approx(noise)
    assert best.margin == pytest.approx(selection_quantile(9, freedom, 0.95) * 2**0.5 * noise)
    assert best.bias == pytest.approx(expected_maximum(9) * noise)
    near = {one.arm for one in found.arms if best.value - one.values[0] <= best.margin}
    assert set(best.among) == near == {one.arm for one in found.arms if one.may_be_best}
    (lead,) = best.declared
    assert lead.arm == "now" and lead.low == pytest.approx(lead.gain - best.margin)


def test_weights_and_directions_are_the_recipes(tmp_path: Path) -> None:
    plan = planned("study.seeds=2", "study.search.objectives.haerae=3", "study.search.objectives.daily=1")
    plan["benchmarks"]["daily"]["accuracy"]["higher_is_better"] = False
    found = finding(write_search(tmp_path, plan))
    assert found.objectives[0].weights == {"haerae": 0.75, "daily": 0.25}
    results = Results.read(tmp_path)
    for one in found.arms:
        haerae, daily = (results.score(one.arm, name, "accuracy").mean or 0 for name in ("haerae", "daily"))
        assert one.values[0] == pytest.approx(0.75 * haerae - 0.25 * daily)


def test_the_front_of_three_objectives_is_of_those_that_none_beats(tmp_path: Path) -> None:
    found = finding(write_search(tmp_path, planned(*APART, trials=16)))
    assert [one.name for one in found.objectives] == ["cost", "kmmlu_redux", "daily"]
    assert found.objectives[0].signal is None and found.objectives[1].signal is not None
    assert found.best is None and {one.rank for one in found.arms} == {None}
    plan = read_json(tmp_path / "plan.json")
    values = {one.arm: one.values for one in found.arms}
    for one in found.arms:
        assert one.values[0] == -plan["arms"][one.arm]["training_tokens"]
        beaten = any(
            other != one.values and all(a >= b for a, b in zip(other, one.values, strict=True))
            for other in values.values()
        )
        assert one.on_front == (not beaten)
    assert 1 < sum(one.on_front for one in found.arms) < len(found.arms)


def test_a_failed_proposal_is_counted_and_takes_no_part(tmp_path: Path) -> None:
    plan = planned(*NOW)
    first = finding(write_search(tmp_path / "whole", plan)).best
    assert first is not None
    run = write_search(tmp_path / "run", plan, failed=[(first.arm, 0)], missing=[("p000", 0), ("p000", 1), ("p000", 2)])
    found = finding(run)
    arms = {one.arm: one for one in found.arms}
    assert found.failed == (first.arm,) and found.unfinished == ("p000",)
    assert arms[first.arm].values and not arms[first.arm].ranked and arms[first.arm].rank is None
    assert arms["p000"].values == () and arms["p000"].best_so_far is None
    assert found.best is not None and found.best.arm != first.arm


def test_one_seed_says_nothing_of_its_noise(tmp_path: Path) -> None:
    found = finding(write_search(tmp_path, planned("study.seeds=1")))
    assert found.best is not None and found.objectives[0].sd is None
    assert (found.best.margin, found.best.bias, found.best.among) == (None, None, ())
    assert found.best.reason == ONE_SEED
    assert found.best.declared[0].low is None


def test_nothing_finished_is_no_best(tmp_path: Path) -> None:
    plan = planned("study.seeds=1")
    run = write_search(tmp_path, plan, missing=[(one["arm"], one["seed"]) for one in plan["trials"]])
    assert finding(run).best is None


def test_mixtures_that_are_all_alike_are_too_noisy_to_search_by(tmp_path: Path) -> None:
    def same(arm: str, shares: Any, seed: int) -> Any:
        return peaked(arm, {"mcqa": 0.3, "daily": 0.4}, seed)

    found = finding(write_search(tmp_path, planned(*NOW), same))
    signal = found.objectives[0].signal
    assert signal is not None and signal.verdict == "too noisy"
    assert found.best is not None and len(found.best.among) > 4


def test_results_are_read_back_and_older_ones_too(searched: Path, tmp_path: Path) -> None:
    assert Results.read(searched) == find(searched)
    run = write_run(tmp_path / "old", seeds=2)
    results = find(run)
    kept = json.loads((run / "results.json").read_text(encoding="utf-8"))
    assert kept["search"] is None
    write_json(run / "results.json", {name: value for name, value in kept.items() if name != "search"})
    assert Results.read(run) == results


def test_power_counts_the_gains_of_what_will_be_proposed() -> None:
    plan = planned(*NOW)
    noise = known_noise({"noise": {}, "of": {}, "limit": None}, None)
    assert plan_power(plan, noise)["family"] == 8 * 4
    early = {**plan, "arms": {"now": plan["arms"]["now"]}}
    assert plan_power(early, noise)["family"] == 8 * 4
    assert plan_power({**early, "baseline": None}, noise)["family"] == 0


@pytest.mark.parametrize(("arms", "value"), [(3, 2.03), (4, 2.19), (5, 2.30), (10, 2.60)])
def test_the_critical_value_is_that_of_dunnetts_table(arms: int, value: float) -> None:
    assert selection_quantile(arms, 20, 0.95) == pytest.approx(value, abs=0.006)  # one-sided, 20 degrees of freedom


def test_the_critical_value_of_two_arms_is_students() -> None:
    for df in (1, 2, 24):
        assert selection_quantile(2, df, 0.95) == pytest.approx(stats.t.ppf(0.95, df), rel=2e-3)
    assert selection_quantile(1, 5, 0.95) == 0


def test_the_best_of_equal_arms_is_kept_as_often_as_is_said_and_its_mean_is_as_high_as_is_said() -> None:
    arms, seeds, rng = 12, 2, np.random.default_rng(0)
    table = rng.normal(size=(20_000, arms, seeds)) + rng.normal(size=(20_000, 1, seeds))  # a seed moves all arms
    means = table.mean(axis=2)
    left = table - means[:, :, None] - table.mean(axis=1, keepdims=True) + table.mean(axis=(1, 2), keepdims=True)
    noise = ((left**2).sum(axis=(1, 2)) / (arms - 1) / (seeds - 1) / seeds) ** 0.5
    margin = selection_quantile(arms, arms - 1, 0.95) * 2**0.5 * noise
    kept = means.max(axis=1) - means[:, 0] <= margin  # any arm may be called the best of equal ones
    assert kept.mean() == pytest.approx(0.95, abs=0.005)
    centred = means - table.mean(axis=1).mean(axis=1, keepdims=True)
    assert centred.max(axis=1).mean() == pytest.approx(expected_maximum(arms) * 2**-0.5, rel=0.05)


def test_how_far_cheap_runs_were_believed_is_told(tmp_path: Path) -> None:
    plan = planned()
    plan["fidelities"] = {"small": {"size": 40, "paired": 5, "trust": {"daily": 0.62, "haerae": 0.0}, "useful": True}}
    write_search(tmp_path, plan)
    results = find(tmp_path)
    assert results.search is not None
    (cheap,) = results.search.cheap
    assert (cheap.name, cheap.paired, cheap.useful) == ("small", 5, True)
    (said,) = [one for one in found_said(results) if "fidelity" in one]
    assert "0.62 on daily, 0.00 on haerae: the sampler learned from them" in said
    assert Results.read(tmp_path).search == results.search
