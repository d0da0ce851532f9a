"""Which proposals are given up, by the items that they and the best answered."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from composer.artifacts import read_json
from composer.findings.hopeless import judge
from findings.run_folder import write_run

# Of `run_folder`, accuracy on four benchmarks: run1 is the best by the first two, run2 by the third.
EACH = {"kmmlu_redux": 0.25, "haerae": 0.25, "mclm_ko": 0.25, "daily_qa": 0.25}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    write_run(folder, seeds=2, items=400)
    return folder


def keys(run: Path, arm: str, seeds: int = 1) -> list[str]:
    return [one["key"] for one in read_json(run / "plan.json")["trials"] if one["arm"] == arm and one["seed"] < seeds]


def asked(run: Path, arm: str, best: str, weights: dict[str, float], seeds: int = 1) -> bool:
    benchmarks = read_json(run / "plan.json")["benchmarks"]
    return judge(run)(keys(run, arm, seeds), keys(run, best, seeds), benchmarks, weights)


def test_what_its_items_show_to_be_worse_is_given_up_and_what_is_better_is_not(run: Path) -> None:
    multiple_choice = {"kmmlu_redux": 0.5, "haerae": 0.5}
    assert asked(run, "run2", "run1", multiple_choice) and not asked(run, "run1", "run2", multiple_choice)
    assert asked(run, "run1", "run2", {"mclm_ko": 1.0}) and not asked(run, "run2", "run1", {"mclm_ko": 1.0})
    assert asked(run, "run1", "run2", {"mclm_ko": 1.0}, seeds=2)


def test_the_same_answers_are_not_given_up(run: Path) -> None:
    assert not asked(run, "run1", "run1", EACH)


def test_luck_is_seldom_a_reason(tmp_path: Path) -> None:
    write_run(tmp_path, arms=["run3"], seeds=40, items=100, baseline=None, comparisons={})
    benchmarks, of = read_json(tmp_path / "plan.json")["benchmarks"], keys(tmp_path, "run3", 40)
    hopeless = judge(tmp_path)
    given_up = [
        hopeless([one], [other], benchmarks, {"kmmlu_redux": 1.0}) for one, other in zip(of[::2], of[1::2], strict=True)
    ]
    assert np.mean(given_up) <= 0.15
