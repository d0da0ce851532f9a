"""Searches with trials that cost nothing: what is proposed, who works on it, and what survives a kill."""

import collections
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rich.console import Console
from search_world import plan_of, proposals, recipe_in, search, trials

from composer.errors import ConfigError, NeedsError, OutputError
from composer.recipe import load_recipe

WORLD = Path(__file__).with_name("search_world.py")
ARMS = 9  # one declared, eight proposed


def worker(out, *more, **env):
    return subprocess.Popen(
        [sys.executable, str(WORLD), str(out), *more],
        env={**os.environ, **env}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def ended(process):
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    return process


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    out = tmp_path_factory.mktemp("whole") / "run"
    outcome = search(out)
    assert not outcome.failed and len(outcome.finished) == ARMS * 2
    return out


def test_every_proposal_is_trained_with_every_seed_and_told(uninterrupted):
    found = trials(uninterrupted)
    assert sorted(found) == list(range(ARMS)) and all(len(of) == 1 for of in found.values())
    assert {of[0].state.name for of in found.values()} == {"COMPLETE"}
    plan = plan_of(uninterrupted)
    assert list(plan["arms"]) == ["default", *(f"p{number:03d}" for number in range(8))]
    assert len(plan["trials"]) == ARMS * 2
    for of in found.values():
        one = of[0]
        rows = one.user_attrs["proposal"]["rows"]
        assert sum(rows.values()) == 100
        counts = plan["arms"][one.user_attrs["arm"]]["mixture"]["categories"]
        assert {name: counts[name]["rows"] for name in rows if rows[name]} == {n: r for n, r in rows.items() if r}
        assert one.value == pytest.approx(sum(v[0] for v in one.user_attrs["result"]["by_seed"]) / 2)


def test_the_sampler_learns(uninterrupted):
    found = trials(uninterrupted)
    values = [found[index][0].value for index in range(ARMS)]
    assert max(values[5:]) > max(values[:5])
    assert max(values) > 0.79


def test_a_finished_search_has_nothing_more_to_do_and_can_be_given_more_trials(uninterrupted, tmp_path):
    copied = tmp_path / "run"
    subprocess.run(["cp", "-r", str(uninterrupted), str(copied)], check=True)
    assert search(copied).finished == []
    more = search(copied, "study.search.trials=9")
    assert len(more.finished) == 2 and sorted(trials(copied)) == list(range(ARMS + 1))
    assert {i: r for i, r in proposals(copied).items() if i < ARMS} == proposals(uninterrupted)


def test_stopped_and_resumed_equals_uninterrupted(uninterrupted, tmp_path):
    out, chance = tmp_path / "run", random.Random(1)
    for _ in range(3):
        process = worker(out, TRIAL_SECONDS="0.05")
        time.sleep(4 + 3 * chance.random())
        process.send_signal(signal.SIGKILL)
        process.wait()
    ended(worker(out))
    assert proposals(out) == proposals(uninterrupted)


@pytest.mark.parametrize("round_", range(5))
def test_four_workers_of_which_two_are_killed_lose_no_trial_and_run_none_twice(round_, tmp_path):
    out, chance = tmp_path / "run", random.Random(round_)
    workers = [worker(out, TRIAL_SECONDS="0.2") for _ in range(4)]
    for process in workers[:2]:
        time.sleep(3 * chance.random() + (3 if process is workers[0] else 0))
        process.send_signal(signal.SIGKILL)
    for process in workers[:2]:
        process.wait()
    for process in workers[2:]:
        ended(process)
    check_whole(out, trials(out))


def check_whole(out, found):
    assert sorted(found) == list(range(ARMS))
    for of in found.values():
        assert sorted(t.state.name for t in of if t.state.name != "FAIL") == ["COMPLETE"]
        assert len({str(t.user_attrs["proposal"]["rows"]) for t in of if "proposal" in t.user_attrs}) == 1
    keys = {trial["key"] for trial in plan_of(out)["trials"]}
    # A trial that was killed after its last word is in the list but not finished: only whole records count.
    times = collections.Counter((out / "ended.txt").read_text().split())
    assert set(times) == keys and all((out / "trials" / key / "record.json").exists() for key in keys)
    assert sum(times.values()) - len(times) <= 2


def test_every_sampler_proposes_within_the_bounds(tmp_path):
    for sampler in ("gp", "tpe", "nsga2", "random"):
        out = tmp_path / sampler / "run"
        out.parent.mkdir()
        bounds = "study.search.bounds.mcqa=[0.1,0.4]"
        search(out, f"study.search.sampler={sampler}", "study.search.startup=2", "study.search.trials=4", bounds)
        for index, rows in proposals(out).items():
            assert index == 0 or 10 <= rows["mcqa"] <= 40
        assert len({str(rows) for rows in proposals(out).values()}) == 5


def test_objectives_that_are_kept_apart_and_trainer_settings(tmp_path):
    out = tmp_path / "run"
    search(
        out, "study.search.pareto=[daily,cost]", "study.search.size=[50,100]", "study.search.trials=6",
        "study.search.trainer.learning_rate={low: 1.0e-4, high: 1.0e-3, log: true}",
        "study.search.trainer.optimizer={choices: [adamw_torch, sgd]}", "study.search.trainer.epochs={low: 1, high: 3}",
    )  # fmt: skip
    plan = plan_of(out)
    for index, (trial,) in trials(out).items():
        arm = plan["arms"][trial.user_attrs["arm"]]
        assert trial.values[1] == -arm["training_tokens"]
        if index:
            assert 50 <= arm["mixture"]["rows"] <= 100 and 1e-4 <= arm["trainer"]["learning_rate"] <= 1e-3
            assert arm["trainer"]["optimizer"] in {"adamw_torch", "sgd"} and arm["trainer"]["epochs"] in {1, 2, 3}


def test_a_score_that_is_not_a_number_fails_its_trial_alone(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("TRIAL_NAN", "1")
    out = tmp_path / "run"
    search(out, "study.search.sampler=random", "study.search.startup=8", "study.search.seed=1", console=Console())
    told = capsys.readouterr().out
    states = {index: of[-1].state.name for index, of in trials(out).items()}
    failed = [index for index, state in states.items() if state == "FAIL"]
    assert failed and len(failed) < ARMS - 1 and set(states.values()) == {"FAIL", "COMPLETE"}
    assert "scored nan: a score must be a finite number" in told


def test_a_search_with_other_bounds_is_refused_and_nothing_is_lost(uninterrupted):
    before = (uninterrupted / "study.journal").read_bytes()
    with pytest.raises(OutputError, match="another study .study.search.bounds.mcqa is"):
        search(uninterrupted, "study.search.bounds.mcqa=[0.1,0.4]")
    assert (uninterrupted / "study.journal").read_bytes() == before


def test_a_database_that_holds_another_search_or_cannot_be_opened_is_told(tmp_path):
    url = f"study.search.storage=sqlite:///{tmp_path}/search.db"
    search(tmp_path / "one", url, "study.search.trials=1")
    with pytest.raises(OutputError, match=r"search default that was begun with other bounds .*choose another study.name"):
        search(tmp_path / "two", url, "study.search.trials=1", "study.search.bounds.mcqa=[0.1,0.4]")
    with pytest.raises(NeedsError, match="study.search.storage is nonsense, which cannot be opened"):
        search(tmp_path / "three", "study.search.storage=nonsense")


def test_a_line_that_a_kill_cut_short_is_cut_off(tmp_path):
    out = tmp_path / "run"
    search(out, "study.search.trials=1")
    with (out / "study.journal").open("ab") as file:
        file.write(b'{"op_code": 4, "tri')
    search(out, "study.search.trials=2")
    assert sorted(trials(out)) == [0, 1, 2]


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("study.search.objectives.nothing=1", "study.search.objectives is nothing: it must be one of"),
        ("study.search.bounds.nothing=[0,1]", "bounds.nothing is given: it must be one of the mixture's categories"),
        ("study.search.bounds.mcqa=[0.5,0.2]", r"bounds.mcqa is \[0.5, 0.2\]"),
        ("study.search.sampler=magic", "study.search.sampler is magic"),
        ("study.search.trainer.nothing={low: 1, high: 2}", "study.search.trainer is nothing"),
        ("study.search.trainer.learning_rate={low: 1}", "gives neither a range nor choices"),
        ("study.search.pareto=[daily]", "must name at least 2 objectives"),
        ("study.search.size=[10,5]", "study.search.size is"),
        ("study.search.trials=0", "study.search.trials is 0"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_search_is_told(asked, told, tmp_path):
    with pytest.raises(ConfigError, match=told):
        recipe_in(tmp_path, asked)


def test_bounds_that_the_pool_cannot_meet_are_told_before_anything_is_written(tmp_path):
    with pytest.raises(ConfigError, match="mcqa needs a share of at least 0.9 and can have at most"):
        search(tmp_path / "run", "study.search.bounds.mcqa=[0.9,1]", "mixture.size=200")
    assert not (tmp_path / "run" / "study.journal").exists()


def test_the_recipe_is_a_search():
    search_ = load_recipe("mini/search", []).config.study.search
    assert search_ is not None and search_.trials == 24
