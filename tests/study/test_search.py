"""Searches with trials that cost nothing: what is proposed, who works on it, and what survives a kill."""

import random
import subprocess
import time

import optuna
import pytest
from rich.console import Console
from search_world import (
    ARMS,
    by_index,
    check_run_once,
    check_told,
    count,
    ended,
    journal,
    plan_of,
    proposals,
    recipe_in,
    search,
    soon,
    trials,
    worker,
)

from composer.errors import ConfigError, NeedsError, OutputError
from composer.pool import open_pool
from composer.recipe import load_recipe
from composer.study.queue import open_queue
from composer.study.search import search_domain

RANDOM = ("study.search.sampler=random", "study.search.startup=8")


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    out = tmp_path_factory.mktemp("whole") / "run"
    ended(worker(out))
    check_run_once(out, killed=0)
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
    before = ended_in(copied)
    ended(worker(copied, "study.search.trials=9"))
    assert ended_in(copied) == before + 2 and sorted(trials(copied)) == list(range(ARMS + 1))
    assert {i: r for i, r in proposals(copied).items() if i < ARMS} == proposals(uninterrupted)


def test_stopped_and_resumed_equals_uninterrupted(uninterrupted, tmp_path):
    out, chance = tmp_path / "run", random.Random(1)
    for stopped in range(3):
        process = worker(out, TRIAL_SECONDS="0.1")
        before = ended_in(out)
        soon(lambda before=before: ended_in(out) > before)
        time.sleep(chance.random())
        assert process.is_alive(), f"it was over before it could be stopped for the {stopped}. time"
        process.kill()
        process.join()
    ended(worker(out))
    assert proposals(out) == proposals(uninterrupted)
    check_run_once(out, killed=3)


def ended_in(out):
    return sum(count(out / "ended.txt").values())


@pytest.mark.parametrize("round_", range(5))
def test_four_workers_of_which_two_are_killed_lose_no_trial_and_run_none_twice(round_, tmp_path):
    out, chance = tmp_path / "run", random.Random(round_)
    workers = [worker(out, "study.search.startup=6", TRIAL_SECONDS="0.2") for _ in range(4)]
    soon((out / "study.journal").exists)
    for process in workers[:2]:
        time.sleep(1.5 * chance.random())
        assert process.is_alive()
        process.kill()
        process.join()
    for process in workers[2:]:
        ended(process)
    check_told(trials(out))
    check_run_once(out, killed=2)


def test_workers_with_folders_of_their_own_take_turns(tmp_path):
    url = f"sqlite:///{tmp_path}/search.db"
    asked = (f"study.search.storage={url}", "study.search.trials=2", *RANDOM)
    process = worker(tmp_path / "its" / "run", *asked, TRIAL_SECONDS="0.5")
    recipe = recipe_in(tmp_path / "mine" / "run", *asked)
    soon(lambda: list((tmp_path / "its" / "run" / "trials").glob("*/spec.json")))
    soon(lambda: any(t.state.name == "RUNNING" for of in by_index(url, "default").values() for t in of))
    queue = our_queue(recipe)
    try:
        with queue.alone():
            soon(lambda: not running(queue))  # it told what came of its first
            time.sleep(1.5)
            assert not running(queue) and process.is_alive()
    finally:
        queue.close()
    ended(process)
    check_told(by_index(url, "default"), arms=3)


def running(queue):
    return [one for one in queue.told() if one.values is None]


def our_queue(recipe):
    """The queue of a search that another process began."""
    search_, pool = recipe.config.study.search, open_pool(recipe.config.pool)
    about = optuna.load_study(study_name="default", storage=search_.storage).user_attrs["about"]
    return open_queue(recipe.out, "default", search_.storage, ["x"], about, 60, search_domain(recipe, pool))


def test_what_a_search_leaves_can_be_drawn_by_anyone_with_optuna(uninterrupted, tmp_path):
    """Its journal, and that of a search whose worker was killed, whose retried trial has all that the others have."""
    out = tmp_path / "run"
    process = worker(out, *RANDOM, TRIAL_SECONDS="0.3")
    soon(lambda: ended_in(out) >= 3)  # its second proposal is at work
    process.kill()
    process.join()
    ended(worker(out, *RANDOM))
    assert any(len(of) > 1 for of in trials(out).values())
    for run in (uninterrupted, out):
        (study,) = optuna.get_all_study_summaries(journal(run))
        study = optuna.load_study(study_name=study.study_name, storage=journal(run))
        done = [trial for trial in study.trials if trial.state.name == "COMPLETE"]
        names = set(done[0].params)
        assert len(done) == ARMS and len(names) == 2
        assert all(set(trial.params) == names == set(trial.distributions) for trial in done)
        (name,) = study.metric_names
        assert "0.25 haerae" in name and all(len(trial.values) == 1 for trial in done)
        assert set(optuna.importance.get_param_importances(study)) == names
        assert study.best_trial.value == max(trial.value for trial in done)


def test_every_sampler_proposes_within_the_bounds(tmp_path):
    few = ("study.search.startup=2", "study.search.trials=4", "study.search.bounds.mcqa=[0.1,0.4]")
    outs = {sampler: tmp_path / sampler / "run" for sampler in ("gp", "tpe", "nsga2", "random")}
    for process in [worker(out, f"study.search.sampler={name}", *few) for name, out in outs.items()]:
        ended(process)
    for out in outs.values():
        for index, rows in proposals(out).items():
            assert index == 0 or 10 <= rows["mcqa"] <= 40
        assert len({str(rows) for rows in proposals(out).values()}) == 5


def test_objectives_that_are_kept_apart_and_trainer_settings(tmp_path):
    out = tmp_path / "run"
    search(
        out, "study.search.pareto=[daily,cost]", "study.search.size=[50,100]", "study.search.trials=5",
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
    monkeypatch.setenv("TRIAL_NAN", "p001,p003")
    out = tmp_path / "run"
    for times in (1, 2):  # a later run tries what failed once more
        search(out, *RANDOM, "study.search.trials=5", console=Console(width=200))
        told = capsys.readouterr().out
        for arm in ("p001", "p003"):
            assert told.count(f"{arm} failed: ") == 1
        assert told.count("scored nan: a score must be a finite number") == 2
        states = {of[-1].user_attrs["arm"]: [t.state.name for t in of] for of in trials(out).values()}
        assert states.pop("p001") == states.pop("p003") == ["FAIL"] * times
        assert states == {arm: ["COMPLETE"] for arm in ("default", "p000", "p002", "p004")}


def test_a_search_with_other_bounds_is_refused_and_nothing_is_lost(uninterrupted):
    before = (uninterrupted / "study.journal").read_bytes()
    with pytest.raises(OutputError, match="another study .study.search.bounds.mcqa is"):
        search(uninterrupted, "study.search.bounds.mcqa=[0.1,0.4]")
    assert (uninterrupted / "study.journal").read_bytes() == before


def test_a_database_that_holds_another_search_or_cannot_be_opened_is_told(tmp_path):
    url = f"study.search.storage=sqlite:///{tmp_path}/search.db"
    search(tmp_path / "one", url, "study.search.trials=1")
    with pytest.raises(
        OutputError, match=r"search default that was begun with other bounds .*choose another study.name"
    ):
        search(tmp_path / "two", url, "study.search.trials=1", "study.search.bounds.mcqa=[0.1,0.4]")
    with pytest.raises(NeedsError, match="study.search.storage is nonsense://x, which cannot be opened"):
        search(tmp_path / "three", "study.search.storage=nonsense://x")


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
        ("study.search.storage=nonsense", "study.search.storage is nonsense: it must be a URL"),
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
