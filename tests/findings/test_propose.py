from __future__ import annotations

from pathlib import Path

import pytest

from composer.artifacts import read_json, write_json
from composer.config_designs import DesignConfig
from composer.findings.propose import proposer
from composer.study.adaptive import observed
from composer.study.designs import Design
from composer.study.designs.expand import Point
from findings.run_folder import write_run

LADDER = {"run2": 1, "run3": 72, "run1": 900}


def design(**settings: object) -> Design:
    config = DesignConfig(kind="adaptive_dose", category="mcqa", doses=list(LADDER.values()), **settings)  # type: ignore[arg-type]
    points = tuple(Point(arm, "mcqa", dose, 0, {}) for arm, dose in LADDER.items())
    return Design("few", "adaptive_dose", "", "rest", ("dose",), None, {}, "run2", points, (), config)


def proposed(run: Path, of: Design) -> int | None:
    plan = read_json(run / "plan.json")
    return proposer(run)(of, observed(of, plan, run))


@pytest.fixture(scope="module")
def ladder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = write_run(tmp_path_factory.mktemp("ladder") / "run", seeds=4)
    for trial in read_json(run / "plan.json")["trials"]:
        record = run / "trials" / trial["key"] / "record.json"
        told = read_json(record)
        told["scores"] = {name: {"exact_match,answer": 0.5} for name in read_json(run / "plan.json")["benchmarks"]}
        write_json(record, told)
    return run


def test_the_next_dose_lies_between_the_first_ones_and_is_new(ladder: Path) -> None:
    dose = proposed(ladder, design(benchmarks=["haerae"], narrow=1.01))
    assert dose is not None and 1 < dose < 900 and dose != 72
    assert proposed(ladder, design(benchmarks=["haerae"], narrow=1.01)) == dose


def test_an_interval_that_is_narrow_enough_asks_for_no_more(ladder: Path) -> None:
    assert proposed(ladder, design(benchmarks=["haerae"], narrow=1e9)) is None


def test_one_seed_tells_nothing_so_nothing_is_asked(tmp_path: Path) -> None:
    run = write_run(tmp_path, seeds=1)
    for trial in read_json(run / "plan.json")["trials"]:
        record = run / "trials" / trial["key"] / "record.json"
        scores = {name: {"exact_match,answer": 0.5} for name in read_json(run / "plan.json")["benchmarks"]}
        write_json(record, {**read_json(record), "scores": scores})
    assert proposed(run, design(benchmarks=["haerae"])) is None
