"""`composer trace`: what it prints, what it refuses, with which code."""

import json
import shlex
from pathlib import Path

import pytest
from findings.traced_run import (
    PLANTED,
    english,
    is_planted,
    make_pool,
    mixture_of,
    steps_with,
    write_ledger,
    write_run,
    write_training,
)

from composer.artifacts import write_json
from composer.cli import main

SPIKE = {"step": 9, "kind": "spike", "policy": "warn", "told": "the rows of step 9 are harder", "score": 14.0}
DRIFT = {"step": 4, "kind": "drift", "policy": "warn", "told": "the loss has risen since step 2"}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Two seeds; the first has begun to train."""
    folder = tmp_path_factory.mktemp("traced")
    pool = make_pool(folder / "pool", [english(number) for number in range(12 * PLANTED)])
    first, second = write_run(folder / "run", pool, seeds=2)
    for seed, trial in enumerate((first, second)):
        steps = steps_with(mixture_of(trial), 14, 9, seed)
        write_ledger(trial, steps)
    marked = is_planted(mixture_of(first))
    write_training(first, steps_with(mixture_of(first), 14, 9, 0), 20, lambda place: 1.5 * marked[place])
    write_json(first / "events.json", [SPIKE, DRIFT])
    return folder / "run"


def told(capsys, *given):
    assert main(["trace", *map(str, given)]) == 0
    return capsys.readouterr().out


def refused(capsys, *given):
    assert main(["trace", *map(str, given)]) == 2
    return " ".join(capsys.readouterr().err.split())


def test_a_step_is_explained(run, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    shown = told(capsys, run, "step=9", "seed=0")
    assert shown.count("✗") == 14 and "Tom has" in shown and "spike at step 9" in shown
    causes, proposal = shown.split("what is unusual in these rows")[1].split("A filter that would have kept them out")
    assert "no Korean after </think> (korean_response)" in causes.splitlines()[2]
    assert "  openthought: {korean_response: }" in proposal
    assert "throws out 14 of 16 rows of step 9" in proposal and f"{PLANTED} of 1,040 rows of the pool" in proposal
    assert "Symptom: the rows' median loss" in shown
    assert not any(ord(letter) == 27 for letter in shown)  # plain where there is no terminal


def test_what_is_printed_is_in_the_json(run, capsys):
    found = json.loads(told(capsys, run, "step=9", "seed=0", "--json"))
    assert found["causes"][0]["feature"] == "korean_response: no Korean"
    assert found["proposal"]["yaml"] == "openthought: {korean_response: }"
    assert found["proposal"]["pool"]["removed"] == PLANTED
    assert [event["kind"] for event in found["events"]] == ["spike"]
    assert len(found["rows"]) == 16 and sum(row["rejected"] for row in found["rows"]) == 14


def test_a_clean_step_and_one_that_is_not_trained_yet_are_told(run, capsys):
    shown = told(capsys, run, "step=12-13", "seed=0", "--rows", "3")
    assert "Nothing in these rows stands out" in shown and "29 more by --rows 32" in shown
    shown = told(capsys, run, "step=9", "seed=1")
    assert "not got so far" in shown and "korean_response" in shown and "Symptom" not in shown


def test_the_folder_of_a_trial_will_do(run, capsys):
    trial = next(folder for folder in (run / "trials").iterdir() if (folder / "events.json").exists())
    assert "Step 9 of" in told(capsys, trial, "step=9")
    assert "Step 9 of" in told(capsys, run, "step=9", f"trial={trial.name[:6]}")


def test_without_a_step_events_are_listed_and_the_first_spike_is_suggested(run, capsys):
    shown = told(capsys, run)
    assert "the rows of step 9 are harder" in shown and "the loss has risen" in shown
    command = shlex.split(shown.split("what was in the rows: ")[1].strip())
    assert command[-1] == "step=9" and "Step 9 of" in told(capsys, *command[2:])
    found = json.loads(told(capsys, run, "--json"))
    assert [trial["done"] for trial in found["trials"]] == [20, 0] and found["suggested"].endswith("step=9")
    assert [event["step"] for event in found["trials"][0]["events"]] == [4, 9]
    assert "nothing told in 0 of 76 steps" in told(capsys, run, "seed=1")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["step=900", "seed=0"], ["step is 900", "the steps 1 to 76"]),
        (["step=70-90", "seed=0"], ["step is 90", "the steps 1 to 76"]),
        (["step=0"], ["step is 0", "step=89-91"]),
        (["step=9-8"], ["step is 9-8", "step=89-91"]),
        (["step=nine"], ["step is nine", "step=89"]),
        (["step=9"], ["2 such trials", "arm=default seed=0", "trial="]),
        (["step=9", "seed=7"], ["no trial with seed=7", "arm=default seed=1"]),
        (["step=9", "arm=run9"], ["no trial with arm=run9", "arm=default"]),
        (["step=9", "trial=zzzz"], ["no trial with trial=zzzz", "trial="]),
        (["step=9", "seed=x"], ["seed is x", "whole number"]),
        (["steps=9"], ["takes no steps=9", "step=…, trial=…, arm=…, seed=…"]),
        (["step=9", "seed=0", "--rows", "0"], ["--rows is 0", "at least 1"]),
    ],
)
def test_what_cannot_be_explained_is_told(run, capsys, given, said):
    message = refused(capsys, run, *given)
    assert all(part in message for part in said), message


def test_a_folder_that_is_no_run_and_a_run_without_ledgers_are_told(run, capsys, tmp_path):
    assert "neither the folder of a run with trials nor of a trial" in refused(capsys, tmp_path, "step=9")
    assert "neither the folder" in refused(capsys, tmp_path / "none", "step=9")
    for trial in (run / "trials").iterdir():
        below = tmp_path / "old" / "trials" / trial.name
        below.mkdir(parents=True)
        (below / "spec.json").write_bytes((trial / "spec.json").read_bytes())
    message = refused(capsys, tmp_path / "old", "step=9")
    assert "no ledger.parquet" in message and "arm=default seed=0" in message
    below = sorted(Path(tmp_path / "old" / "trials").iterdir())[0]
    (below / "ledger.parquet").write_bytes(b"PAR1 half of it")
    assert main(["trace", str(below), "step=9"]) == 1
    assert "ledger.parquet cannot be read" in " ".join(capsys.readouterr().err.split())
