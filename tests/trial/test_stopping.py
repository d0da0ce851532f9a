"""Evaluations on the way, and an end where they no longer get better; also for a trial that was killed."""

import json
import os
import signal

import pytest
from trials import finish, history, make_trial, start, weights

from composer.config_trainer import StoppingConfig
from composer.trial.stopping import Stopping

EVERY = (
    "trainer.stopping.every_tokens=1500",
    "trainer.stopping.items=2",
    "trainer.epochs=2",
    "trainer.checkpoint_steps=7",
)
# A rate that rises to where nothing is learned.
RISING = ("trainer.schedule=constant_with_warmup", "trainer.warmup_steps=1000", "trainer.learning_rate=10")
ENDS = (*EVERY, "trainer.stopping.patience=2", *RISING)


def told(folder):
    return json.loads((folder / "record.json").read_text())["training"]


@pytest.fixture(scope="module")
def ended(tmp_path_factory):
    folder = make_trial(tmp_path_factory.mktemp("ended"), *ENDS)
    code, said = finish(folder)
    assert code == 0, said
    return folder


def test_evaluations_change_nothing_of_what_is_learned(tmp_path):
    plain, asked = (
        make_trial(tmp_path / "plain", "trainer.epochs=2"),
        make_trial(tmp_path / "asked", *EVERY, "trainer.stopping.patience=99"),
    )
    for folder in (plain, asked):
        code, said = finish(folder)
        assert code == 0, said
    assert weights(plain) == weights(asked)
    assert told(plain)["stopping"] == []
    scores = told(asked)["stopping"]
    assert len(scores) == told(asked)["tokens"] // 1500
    assert all(read // 1500 == number for number, (read, _) in enumerate(scores, 1))


def test_training_ends_where_it_no_longer_helps(ended):
    scores = [score for _, score in told(ended)["stopping"]]
    best = scores.index(max(scores))
    assert len(scores) == best + 1 + 2  # the best, and two in vain
    assert told(ended)["steps"] < 80


def test_one_that_was_killed_ends_where_it_would_have(ended, tmp_path):
    folder = make_trial(tmp_path, *ENDS)
    with start(folder) as process:
        half = told(ended)["steps"] // 2
        assert any(one["phase"] == "train" and one["step"] >= half for one in map(json.loads, process.stdout))
        os.kill(process.pid, signal.SIGKILL)
    code, said = finish(folder)
    assert code == 0, said
    assert told(folder)["stopping"] == told(ended)["stopping"]
    assert weights(folder) == weights(ended) and history(folder).equals(history(ended))


def test_what_was_read_after_a_checkpoint_is_asked_again(tmp_path):
    file, values = tmp_path / "stopping.json", iter([0.1, 0.3, 0.2, 0.2])
    stopping = Stopping(StoppingConfig(every_tokens=10, patience=2), file, lambda: next(values), writes=True)
    assert not stopping.due(9, 9) and stopping.due(10, 1) and stopping.due(25, 10)
    assert [stopping.no_longer_helps(read) for read in (10, 20, 30)] == [False, False, False]
    again = Stopping(StoppingConfig(every_tokens=10, patience=2), file, lambda: next(values), writes=True)
    again.go_back(25)
    assert again.scores == [(10, 0.1), (20, 0.3)]
    assert not again.no_longer_helps(30)
