from __future__ import annotations

from pathlib import Path

from composer.findings import find
from composer.findings.pareto import front
from findings.run_folder import write_run


def test_no_arm_on_the_front_is_beaten_and_every_other_is(run: Path) -> None:
    results = find(run)
    for benchmark in (None, *(one.name for one in results.benchmarks)):
        points = front(results, benchmark)
        assert [point.arm for point in points] == [arm.name for arm in results.arms]
        for point in points:
            better = [
                other
                for other in points
                if other.tokens <= point.tokens
                and other.score >= point.score
                and (other.tokens < point.tokens or other.score > point.score)
            ]
            assert point.on_front == (not better)


def test_the_score_of_all_benchmarks_weighs_each_the_same(run: Path) -> None:
    results = find(run)
    for point in front(results):
        means = [results.score(point.arm, one.name, "accuracy").mean or 0 for one in results.benchmarks]
        assert abs(point.score - sum(means) / len(means)) < 1e-12


def test_an_arm_without_a_finished_trial_is_left_out(tmp_path: Path) -> None:
    results = find(write_run(tmp_path, seeds=1, failed=[("run3", 0)]))
    assert [point.arm for point in front(results)] == ["run1", "run2", "run4"]
    assert {point.sd for point in front(results)} == {None}
