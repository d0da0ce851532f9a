"""The runner with real processes: a small program that keeps the trial's contract, and a study that can be killed."""

from __future__ import annotations

import itertools
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
import torch

from composer.study import runner
from composer.study.lock import study_lock, trial_lock
from composer.study.runner import Event, Outcome, Trial, run_trials

PROGRAM = """
import json, os, signal, subprocess, sys, threading, time
from pathlib import Path

def watch():
    os.read(0, 1)
    os._exit(1)

threading.Thread(target=watch, daemon=True).start()
folder = Path(sys.argv[1])
spec = json.loads((folder / "spec.json").read_text())
home = folder.parent.parent

def note(name, text):
    with open(home / name, "a") as file:
        file.write(text + "\\n")

note("started", f"{spec['key']} {os.getpid()} {os.getppid()}")
assert sorted(path.name for path in folder.iterdir()) == [".lock", "log.txt", "spec.json"], "the folder is not clean"
(folder / "half.parquet").write_text("half")
print("a library says hello")
if spec.get("helper"):
    helper = subprocess.Popen(["sleep", "60"])
    note("helpers", str(helper.pid))
for step in range(4):
    print(json.dumps({"phase": "train", "step": step + 1, "steps": 4, "loss": 4.0 - step}))
    time.sleep(spec.get("seconds", 0.1) / 4)
    if step == 1 and spec.get("fail"):
        print("a long story", file=sys.stderr)
        raise ValueError("loss is not a number")
    if step == 1 and spec.get("kill", 0) > sum(l.startswith(spec["key"]) for l in open(home / "started")) - 1:
        os.kill(os.getpid(), signal.SIGKILL)
    if step == 1 and spec.get("exit") is not None:
        os._exit(spec["exit"])
record = {"environment": {name: os.environ.get(name) for name in ("OMP_NUM_THREADS", "TOKENIZERS_PARALLELISM")}}
record["descriptors"] = sorted(os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")
                               if os.path.exists(f"/proc/self/fd/{fd}"))
(folder / ".record").write_text(json.dumps(record))
os.replace(folder / ".record", folder / "record.json")
note("finished", spec["key"])
"""

STUDY = """
import json, sys
from pathlib import Path
from composer.study.lock import study_lock
from composer.study.runner import Trial, run_trials

run, preload, specs = Path(sys.argv[1]), json.loads(sys.argv[2]), json.loads(sys.argv[3])
trials = [Trial("arm", seed, spec["key"], spec, 4) for seed, spec in enumerate(specs)]
with study_lock(run):
    run_trials(run, trials, 2, 1, lambda event: print(event.kind, event.trial.key, flush=True),
               command=(sys.executable, "-m", "small_trial"), preload=preload)
"""

COMMAND = (sys.executable, "-m", "small_trial")
FORKED, PLAIN = ("json",), ()
either = pytest.mark.parametrize("preload", [PLAIN, FORKED], ids=["plain", "forked"])


@pytest.fixture(autouse=True)
def program(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path_factory.mktemp("program")
    (folder / "small_trial.py").write_text(PROGRAM)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")]))


def trial(key: str, **spec: object) -> Trial:
    return Trial("arm", 0, key, {"key": key, **spec}, steps=4)


def run_all(
    run: Path, trials: Sequence[Trial], preload: Sequence[str], workers: int = 2
) -> tuple[Outcome, list[Event]]:
    events: list[Event] = []
    with study_lock(run):
        return run_trials(run, trials, workers, 1, events.append, COMMAND, preload), events


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def processes(run: Path) -> set[int]:
    """Every trial that started, and its parent where that is not this test: the study or its nursery."""
    return {int(pid) for line in lines(run / "started") for pid in line.split()[1:]} - {os.getpid()}


def alive(pid: int) -> bool:
    """Whether it runs and is ours: an orphan's parent may be init, and a number may be given to another process."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
        return state not in "ZX" and (b"small_trial" in command or command == b"sleep\x0060\x00")
    except (FileNotFoundError, ProcessLookupError):
        return False


def until(condition: Callable[[], bool], seconds: float = 10.0) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def study(run: Path, preload: Sequence[str], specs: Sequence[dict[str, object]]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", STUDY, str(run), json.dumps(preload), json.dumps(specs)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # A shell that starts the tests in the background has them ignore Ctrl-C, and a child inherits that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


@either
def test_runs_each_trial_once_in_order_and_tells_what_happens(tmp_path: Path, preload: Sequence[str]) -> None:
    trials = [trial(key) for key in "abc"]
    outcome, events = run_all(tmp_path, trials, preload, workers=1)
    assert outcome == Outcome(finished=trials, failed=[], skipped=[])
    assert [e.kind + e.trial.key for e in events if e.kind != "progress"] == [
        kind + key for key in "abc" for kind in ("started", "finished")
    ]
    progress = [(e.phase, e.step, e.steps, e.loss) for e in events if e.kind == "progress" and e.trial.key == "b"]
    assert progress == [("train", step, 4, 5.0 - step) for step in (1, 2, 3, 4)]
    assert all(e.loss == 1.0 and e.seconds >= 0.1 for e in events if e.kind == "finished")
    outcome, events = run_all(tmp_path, trials, preload)
    assert outcome == Outcome(finished=[], failed=[], skipped=trials)
    assert [e.kind for e in events] == ["skipped"] * 3
    assert lines(tmp_path / "finished") == ["a", "b", "c"]


@either
def test_workers_bounds_how_many_run_at_a_time(tmp_path: Path, preload: Sequence[str]) -> None:
    _, events = run_all(tmp_path, [trial(key) for key in "abcdef"], preload, workers=3)
    change = {"started": 1, "finished": -1}
    running = list(itertools.accumulate(change.get(event.kind, 0) for event in events))
    assert max(running) == 3
    assert running[-1] == 0


@either
def test_a_trial_sees_its_threads_and_no_descriptor_of_the_study(tmp_path: Path, preload: Sequence[str]) -> None:
    run_all(tmp_path, [trial("a"), trial("b"), trial("c")], preload)
    for key in "abc":
        folder = tmp_path / "trials" / key
        record = json.loads((folder / "record.json").read_text())
        assert record["environment"] == {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
        files = [name for name in record["descriptors"] if name.startswith(str(tmp_path))]
        assert files == [str(folder / ".lock"), str(folder / "log.txt")]
        pipes = [name for name in record["descriptors"] if name.startswith(("pipe", "socket"))]
        assert len(pipes) == 2  # its stdin and stdout


@either
def test_trials_with_one_key_run_once(tmp_path: Path, preload: Sequence[str]) -> None:
    twins = [Trial(arm, 0, key, {"key": key, "fail": key == "b"}, 4) for key in "abc" for arm in ("one", "two")]
    outcome, _ = run_all(tmp_path, twins, preload)
    assert outcome.finished == [t for t in twins if t.key != "b"]
    assert [t for t, _ in outcome.failed] == [t for t in twins if t.key == "b"]
    assert Counter(line.split()[0] for line in lines(tmp_path / "started")) == {"a": 1, "b": 1, "c": 1}


@either
def test_a_failure_leaves_the_others_and_is_tried_again_by_the_next_run(tmp_path: Path, preload: Sequence[str]) -> None:
    trials = [trial("a"), trial("b", fail=True), trial("c")]
    outcome, events = run_all(tmp_path, trials, preload)
    assert outcome.finished == [trials[0], trials[2]]
    (failed,) = (event for event in events if event.kind == "failed")
    assert failed.error.endswith("ValueError: loss is not a number")
    assert len(failed.error.splitlines()) == runner.ERROR_LINES
    assert outcome.failed == [(trials[1], failed.error)]
    folder = tmp_path / "trials" / "b"
    assert "a long story" in lines(folder / "log.txt")
    assert json.loads((folder / "failed.json").read_text()) == {"key": "b", "error": failed.error}
    mended = [trials[0], trial("b"), trials[2]]
    assert run_all(tmp_path, mended, preload)[0] == Outcome([mended[1]], [], [mended[0], mended[2]])
    assert not (folder / "failed.json").exists()
    assert (folder / "record.json").exists()


@pytest.mark.parametrize("code", [0, 3, 255])
def test_a_trial_that_ends_without_a_record_has_failed(tmp_path: Path, code: int) -> None:
    outcome, _ = run_all(tmp_path, [trial("a", exit=code)], PLAIN)
    assert [error for _, error in outcome.failed] == [
        f"ended with exit code {code} and without a record or a word in its log"
    ]


@either
def test_a_killed_trial_is_tried_once_more(tmp_path: Path, preload: Sequence[str]) -> None:
    trials = [trial("a", kill=1), trial("b", kill=2), trial("c")]
    outcome, events = run_all(tmp_path, trials, preload)
    assert outcome.finished == [trials[0], trials[2]]
    assert outcome.failed == [(trials[1], "killed by signal 9 (SIGKILL)")]
    assert sorted(e.trial.key for e in events if e.kind == "retried") == ["a", "b"]
    assert Counter(line.split()[0] for line in lines(tmp_path / "started")) == {"a": 2, "b": 2, "c": 1}
    assert run_all(tmp_path, trials, preload)[0] == Outcome([trials[1]], [], [trials[0], trials[2]])


@either
def test_what_a_killed_trial_started_ends_with_it(tmp_path: Path, preload: Sequence[str]) -> None:
    run_all(tmp_path, [trial(key, kill=2, helper=True) for key in "abc"], preload)
    helpers = [int(pid) for pid in lines(tmp_path / "helpers")]
    assert len(helpers) == 6
    assert until(lambda: not any(map(alive, helpers)), 5.0)


def test_forked_trials_share_a_parent_that_is_not_the_study(tmp_path: Path) -> None:
    run_all(tmp_path, [trial(key) for key in "abc"], FORKED)
    parents = {int(line.split()[2]) for line in lines(tmp_path / "started")}
    assert len(parents) == 1 and parents != {os.getpid()}
    assert until(lambda: not any(map(alive, parents)))


def test_a_killed_nursery_is_started_again(tmp_path: Path) -> None:
    trials = [trial(key, seconds=0.4) for key in "abcde"]
    killed: list[int] = []

    def kill_the_nursery(event: Event) -> None:
        if event.kind == "progress" and event.trial.key == "b" and not killed:
            killed.append(int(lines(tmp_path / "started")[0].split()[2]))
            os.kill(killed[0], signal.SIGKILL)

    with study_lock(tmp_path):
        outcome = run_trials(tmp_path, trials, 2, 1, kill_the_nursery, COMMAND, FORKED)
    assert outcome.finished == trials
    parents = dict(line.split()[::2] for line in lines(tmp_path / "started"))
    assert int(parents["e"]) not in {killed[0], os.getpid()}
    assert sorted(lines(tmp_path / "finished")) == list("abcde")


def test_a_nursery_that_cannot_import_gives_way_to_fresh_processes(tmp_path: Path) -> None:
    trials = [trial(key) for key in "abc"]
    assert run_all(tmp_path, trials, ("json", "no_such_module"))[0].finished == trials
    assert {int(line.split()[2]) for line in lines(tmp_path / "started")} == {os.getpid()}


def test_what_trials_really_import_can_be_imported_before_a_fork(tmp_path: Path) -> None:
    trials = [trial(key) for key in "abc"]
    assert run_all(tmp_path, trials, runner.PRELOAD)[0].finished == trials
    forked = {int(line.split()[2]) for line in lines(tmp_path / "started")} != {os.getpid()}
    assert forked != torch.accelerator.is_available()


def test_a_machine_with_an_accelerator_gets_fresh_processes(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A torch that says so stands first on the path of the nursery."""
    folder = tmp_path_factory.mktemp("accelerated")
    (folder / "torch.py").write_text("class accelerator:\n    is_available = staticmethod(lambda: True)\n")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder), os.environ["PYTHONPATH"]]))
    trials = [trial(key) for key in "abc"]
    assert run_all(tmp_path, trials, ("torch",))[0].finished == trials
    assert {int(line.split()[2]) for line in lines(tmp_path / "started")} == {os.getpid()}


@either
def test_a_study_killed_at_any_moment_is_finished_by_running_it_again(tmp_path: Path, preload: Sequence[str]) -> None:
    keys = [f"key{number}" for number in range(8)]
    specs = [{"key": key, "seconds": 0.3} for key in keys]
    moments = random.Random(len(preload))
    done: set[str] = set()
    for _ in range(5):
        process = study(tmp_path, preload, specs)
        assert process.stdout is not None
        process.stdout.readline()  # it has begun
        time.sleep(moments.uniform(0.0, 0.8))
        process.kill()
        process.communicate()
        now = {key for key in keys if (tmp_path / "trials" / key / "record.json").exists()}
        assert done <= now
        done = now
    assert until(lambda: not any(map(alive, processes(tmp_path)))), "an orphan is alive"
    before = Counter(line.split()[0] for line in lines(tmp_path / "started"))
    process = study(tmp_path, preload, specs)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 0, errors
    assert all((tmp_path / "trials" / key / "record.json").exists() for key in keys)
    after = Counter(line.split()[0] for line in lines(tmp_path / "started"))
    assert all(after[key] == before[key] for key in done), "a finished trial ran again"
    assert max(Counter(lines(tmp_path / "finished")).values()) == 1
    assert until(lambda: not any(map(alive, processes(tmp_path))))


@either
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, -signal.SIGINT), (signal.SIGTERM, 143)])
def test_ctrl_c_and_sigterm_end_the_trials_first(
    tmp_path: Path, preload: Sequence[str], number: signal.Signals, code: int
) -> None:
    process = study(tmp_path, preload, [{"key": key, "seconds": 30} for key in "abc"])
    assert until(lambda: len(lines(tmp_path / "started")) == 2)
    started = time.monotonic()
    os.killpg(process.pid, number)
    _, errors = process.communicate(timeout=10)
    assert time.monotonic() - started < runner.GRACE_SECONDS
    assert process.returncode == code
    assert ("KeyboardInterrupt" in errors) == (number == signal.SIGINT)
    assert until(lambda: not any(map(alive, processes(tmp_path))), 1.0)
    assert not list(tmp_path.glob("trials/*/failed.json"))


def test_an_exception_in_the_listener_ends_the_trials(tmp_path: Path) -> None:
    def listener(event: Event) -> None:
        if event.kind == "progress":
            raise RuntimeError("no display")

    with pytest.raises(RuntimeError, match="no display"), study_lock(tmp_path):
        run_trials(tmp_path, [trial("a", seconds=30), trial("b", seconds=30)], 2, 1, listener, COMMAND, PLAIN)
    assert not any(map(alive, processes(tmp_path)))


def test_two_studies_in_one_folder(tmp_path: Path) -> None:
    first = study(tmp_path, PLAIN, [{"key": "a", "seconds": 30}])
    assert until(lambda: bool(lines(tmp_path / "started")))
    second = study(tmp_path, PLAIN, [{"key": "a"}])
    _, errors = second.communicate(timeout=10)
    assert second.returncode != 0
    assert f"another process runs this study in {tmp_path} (pid {first.pid})" in errors
    assert len(lines(tmp_path / "started")) == 1
    first.kill()
    first.communicate()
    third = study(tmp_path, PLAIN, [{"key": "a"}])
    assert third.communicate(timeout=20)[1] == ""
    assert lines(tmp_path / "finished") == ["a"]


def test_waits_for_a_trial_of_a_killed_study_to_die(tmp_path: Path) -> None:
    """An orphan that does not watch its stdin keeps the folder until it is gone."""
    folder = tmp_path / "trials" / "a"
    folder.mkdir(parents=True)
    with trial_lock(folder, 0) as lock:
        orphan = subprocess.Popen(["sleep", "1"], pass_fds=(lock,))
    started = time.monotonic()
    outcome, _ = run_all(tmp_path, [trial("a")], PLAIN)
    assert [t.key for t in outcome.finished] == ["a"]
    assert time.monotonic() - started > 0.7
    orphan.wait()


def test_an_orphan_that_will_not_die_fails_its_trial_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "ORPHAN_SECONDS", 0.1)
    folder = tmp_path / "trials" / "a"
    folder.mkdir(parents=True)
    with trial_lock(folder, 0):
        outcome, _ = run_all(tmp_path, [trial("a"), trial("b")], PLAIN)
    assert [t.key for t in outcome.finished] == ["b"]
    ((failed, error),) = outcome.failed
    assert failed.key == "a" and f"a trial still runs in {folder}" in error


def test_runs_outside_the_main_thread(tmp_path: Path) -> None:
    outcomes: list[Outcome] = []
    thread = threading.Thread(target=lambda: outcomes.append(run_all(tmp_path, [trial("a")], PLAIN)[0]))
    thread.start()
    thread.join()
    assert [t.key for t in outcomes[0].finished] == ["a"]


def test_leaves_the_handler_of_sigterm_as_it_was(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    run_all(tmp_path, [trial("a")], PLAIN)
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.fixture(autouse=True)
def no_descriptor_is_left_open() -> Iterator[None]:
    before = len(os.listdir("/proc/self/fd"))
    yield
    assert len(os.listdir("/proc/self/fd")) <= before
