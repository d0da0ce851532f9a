"""A real study, small: trained, evaluated, killed at random moments, finished with the same results."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from composer.cli import main
from composer.trial.run import run as run_trial

SMALL = [
    "quickstart", "pool.rows=4000", "mixture.size=250", "study.seeds=2", "trainer.epochs=1", "benchmarks.limit=12",
    "~study.arms.run1", "~study.arms.run4", "~study.comparisons.openthought_for_daily",
]  # fmt: skip


def command(out, *more):
    return [sys.executable, "-m", "composer.cli", "run", *SMALL, f"out={out}", *more]


def findings(out):
    """What `results.json` says, times and costs left out."""
    return {name: part for name, part in json.loads((out / "results.json").read_text()).items() if name != "cost"}


def children(pid):
    """The processes below one, by /proc."""
    found = []
    for task in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = task.read_text().rsplit(")", 1)[1].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[1]) == pid:
            found += [int(task.parent.name), *children(int(task.parent.name))]
    return found


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    out = tmp_path_factory.mktemp("study") / "run"
    done = subprocess.run(command(out), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return out


def test_a_run_leaves_what_the_design_says(finished):
    for name in ("config.yaml", "plan.json", "study.journal", "results.json", "report.html"):
        assert (finished / name).stat().st_size > 100, name
    plan = json.loads((finished / "plan.json").read_text())
    for planned in plan["trials"]:
        folder = finished / "trials" / planned["key"]
        record = json.loads((folder / "record.json").read_text())
        assert record["key"] == planned["key"]
        assert record["seed"] == planned["seed"]
        assert record["training"]["tokens"] == plan["arms"][planned["arm"]]["training_tokens"]
        assert record["training"]["steps"] == record["training"]["loss"][-1][0]
        items = pq.read_table(folder / "items.parquet")
        for task in set(items["task"].to_pylist()):
            values = [row["value"] for row in items.to_pylist() if row["task"] == task]
            assert len(values) == 12
            assert sum(values) / 12 == pytest.approx(next(iter(record["scores"][task].values())))
        assert not (folder / "checkpoint" / "model.safetensors").exists()


def test_a_trial_run_again_elsewhere_gives_the_same_scores(finished, tmp_path):
    trials = sorted((finished / "trials").iterdir())
    folder = tmp_path / "trials" / trials[0].name
    folder.mkdir(parents=True)
    (tmp_path / "mixtures").symlink_to(finished / "mixtures")
    (folder / "spec.json").write_bytes((trials[0] / "spec.json").read_bytes())
    record = run_trial(folder)
    kept = json.loads((trials[0] / "record.json").read_text())
    assert record["scores"] == kept["scores"]
    assert [list(pair) for pair in record["training"]["loss"]] == kept["training"]["loss"]


def test_running_again_repeats_no_finished_trial(finished, capsys):
    before = {path: path.stat().st_mtime_ns for path in finished.glob("trials/*/record.json")}
    held = findings(finished)
    assert main(["run", *SMALL, f"out={finished}"]) == 0
    assert before == {path: path.stat().st_mtime_ns for path in finished.glob("trials/*/record.json")}
    assert findings(finished) == held
    capsys.readouterr()
    assert main(["report", str(finished), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)


def test_any_step_of_a_run_can_be_traced(finished, capsys):
    planned = json.loads((finished / "plan.json").read_text())
    trial, arm = planned["trials"][0], planned["arms"][planned["trials"][0]["arm"]]
    for step in (1, arm["steps"]):
        assert main(["trace", str(finished), f"arm={trial['arm']}", "seed=0", f"step={step}", "--json"]) == 0
        found = json.loads(capsys.readouterr().out)
        assert (found["key"], found["of"]) == (trial["key"], arm["steps"])
        assert found["rows"] and all(row["loss"] > 0 and row["prompt"] for row in found["rows"])
        assert found["steps"][0]["loss"] > 0 and found["symptom"] is not None
    assert main(["trace", str(finished), "--json"]) == 0
    assert {one["done"] == one["steps"] for one in json.loads(capsys.readouterr().out)["trials"]} == {True}


def test_another_study_may_not_use_the_folder(finished, capsys):
    assert main(["run", *SMALL, f"out={finished}", "trainer.learning_rate=0.5"]) == 2
    message = capsys.readouterr().err
    assert "trainer.learning_rate" in message and "choose another" in " ".join(message.split())


@pytest.mark.parametrize("victim", ["study", "trial"])
def test_killed_five_times_at_random_the_results_are_the_same(finished, tmp_path, victim):
    out, rng = tmp_path / "run", random.Random(victim)
    for _ in range(5):
        process = subprocess.Popen(command(out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + rng.uniform(3, 14)
        while time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.05)
        if victim == "study":
            process.kill()
        elif below := children(process.pid):
            os.kill(rng.choice(below), signal.SIGKILL)
        process.wait(timeout=240)
    done = subprocess.run(command(out), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert findings(out) == findings(finished)
