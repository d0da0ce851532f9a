"""Rows in English at steps 89 to 91 of a Korean run: they are found, named, and kept out as the policy says."""

import json
import os
import signal
from statistics import stdev

import pyarrow.parquet as pq
import pytest
from findings.traced_run import DATA
from planted import STEPS, clean_trials, held_out_loss, planted_trial
from trials import finish, start, weights

from composer.cli import main

REAL = pytest.param(
    "real", marks=pytest.mark.skipif(not DATA.is_dir(), reason="the real traces are not here: set COMPOSER_DATA")
)
ROLLBACK = ("trainer.monitors.spike.policy=rollback", "trainer.checkpoint_steps=25")


def events(folder):
    return json.loads((folder / "events.json").read_text())


def steps(folder):
    return pq.read_table(folder / "history").to_pylist()


def done(folder):
    code, said = finish(folder)
    assert code == 0, said
    return folder


def kill_after(process, step):
    assert any(one["phase"] == "train" and one["step"] > step for one in map(json.loads, process.stdout))
    os.kill(process.pid, signal.SIGKILL)


@pytest.fixture(scope="module")
def skipped(tmp_path_factory):
    return done(planted_trial(tmp_path_factory.mktemp("skip") / "run", "trainer.monitors.spike.policy=skip"))


@pytest.fixture(scope="module")
def rolled(tmp_path_factory):
    return done(planted_trial(tmp_path_factory.mktemp("rollback") / "run", *ROLLBACK))


@pytest.mark.parametrize("texts", ["mini", REAL])
def test_exactly_the_steps_in_english_are_told_and_their_cause_is_named(texts, tmp_path, capsys):
    folder = done(planted_trial(tmp_path / "run", texts=texts))
    assert [(one["step"], one["kind"], one["policy"]) for one in events(folder)] == [
        (n, "spike", "warn") for n in STEPS
    ]
    assert all(one["taken"] for one in steps(folder))
    capsys.readouterr()
    assert main(["trace", str(tmp_path / "run"), "step=89-91", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["causes"][0]["feature"] == "korean_response: no Korean"
    assert found["proposal"]["yaml"] == "openthought: {korean_response: }"
    assert found["proposal"]["pool"]["removed"] == 12
    assert {one["kind"] for one in found["events"]} == {"spike"}


def test_skipped_steps_leave_the_weights_as_they_were(skipped):
    assert [one["step"] for one in events(skipped)] == [*STEPS]
    assert [one["step"] for one in steps(skipped) if not one["taken"]] == [*STEPS]


def test_after_a_rollback_it_is_as_if_the_steps_had_been_skipped(rolled, skipped):
    assert [one["step"] for one in events(rolled)] == [*STEPS]
    assert weights(rolled) == weights(skipped)


def test_killed_while_it_goes_back_it_ends_with_the_same_weights(rolled, tmp_path):
    folder = planted_trial(tmp_path / "run", *ROLLBACK)
    for after in (80, 90):
        with start(folder) as process:
            kill_after(process, after)
    assert weights(done(folder)) == weights(rolled)


def test_without_those_rows_it_learns_as_much(rolled, tmp_path):
    without = done(planted_trial(tmp_path / "run", korean=True))
    seeds = [done(folder) for folder in clean_trials(tmp_path / "seeds", seeds=3)]
    assert not any((folder / "events.json").exists() for folder in (without, *seeds))
    assert abs(held_out_loss(rolled) - held_out_loss(without)) < 2 * stdev(map(held_out_loss, seeds))


def test_a_lower_rate_stays_lower_also_for_one_that_was_killed(tmp_path):
    given = ("trainer.monitors.spike.policy=lower_lr", "trainer.schedule=constant", "trainer.checkpoint_steps=25")
    folder = done(planted_trial(tmp_path / "whole", *given))
    rates = {one["step"]: one["learning_rate"] for one in steps(folder)}
    assert rates[92] == pytest.approx(rates[88] / 8)
    killed = planted_trial(tmp_path / "killed", *given)
    with start(killed) as process:
        kill_after(process, 110)
    assert weights(done(killed)) == weights(folder)


def test_a_trial_that_stops_says_where_and_why(tmp_path):
    folder = planted_trial(tmp_path / "run", "trainer.monitors.spike.policy=stop")
    code, said = finish(folder)
    assert code == 1
    assert "step 89 stands out: its rows are" in said and "trainer.monitors.spike.policy says" in said.splitlines()[-1]
    assert [one["step"] for one in events(folder)] == [89]
    assert len(steps(folder)) == 88
