"""Runs trials in processes of their own, a few at a time, and survives the death of any of them.

A trial works in RUN/trials/KEY. The runner writes `spec.json` and `log.txt` (the trial's standard error) there, the
trial writes `record.json` last and whole; a trial with a record is finished and is never run again. The trial's
standard input is a pipe that nobody writes to: it ends when the runner dies, and the trial ends with it.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import select
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal, Protocol, cast

from composer.artifacts import write_json
from composer.errors import OutputError
from composer.study.lock import LOCK, trial_lock
from composer.study.nursery import Nursery, NurseryLost
from composer.study.spread import Spread
from composer.trial.memory import AGAIN

COMMAND = (sys.executable, "-m", "composer.trial")
PRELOAD = (
    "torch",
    "pyarrow.parquet",
    "transformers:AutoTokenizer",
    "transformers:Lfm2ForCausalLM",
    "transformers:Trainer",
    "datasets",
    "lm_eval:simple_evaluate",
    "lm_eval.models.huggingface",
    "lm_eval.tasks",
)
KEPT = {
    LOCK,
    "checkpoints",
    "history",
    "losses",
    "events.json",
    "stopping.json",
}  # what an interrupted trial goes on from
ATTEMPTS = 2  # a trial that was killed is not at fault
TICK_SECONDS = 0.1
ORPHAN_SECONDS = 60.0  # for a trial of a killed study to notice and die
GRACE_SECONDS = 5.0  # from SIGTERM to SIGKILL
ERROR_LINES = 5
ERROR_CHARACTERS = 1000


@dataclass(frozen=True)
class Trial:
    """One arm with one seed: `key` is the hash of all that determines its result, `steps` its optimizer steps."""

    arm: str
    seed: int
    key: str
    spec: dict[str, Any]
    steps: int
    label: str = ""


@dataclass(frozen=True)
class Event:
    """Something that happened to a trial.

    Attributes:
        kind: What happened. "skipped": it was finished by an earlier run; "retried": it was killed and waits again.
        trial: The trial; of several with one key, the first.
        phase: For "progress": load, tokenise, train or evaluate, with its `step` of `steps` (0: unknown).
        loss: For "progress" and "finished": the last training loss, if any.
        seconds: For "finished" and "failed": wall-clock time of this attempt.
        error: For "failed" and "retried".
    """

    kind: Literal["skipped", "started", "progress", "finished", "failed", "retried"]
    trial: Trial
    phase: str = ""
    step: int = 0
    steps: int = 0
    loss: float | None = None
    seconds: float = 0.0
    error: str = ""


Listener = Callable[[Event], None]


@dataclass(frozen=True)
class Outcome:
    """Every trial that was asked for, in declared order: finished now, failed with its error, or finished before."""

    finished: list[Trial]
    failed: list[tuple[Trial, str]]
    skipped: list[Trial]


def run_trials(
    run: Path,
    trials: Sequence[Trial],
    workers: int,
    threads: int,
    listener: Listener,
    command: Sequence[str] = COMMAND,
    preload: Sequence[str] = PRELOAD,
    spread: Spread | None = None,
) -> Outcome:
    """Runs those of `trials` that have no record yet, at most `workers` at a time, in declared order.

    The caller holds `study_lock(run)`. Trials with one key run once. One that fails leaves RUN/trials/KEY/failed.json
    ("key", "error") and the others go on; running again tries it again. One that is killed by a signal is tried twice.
    On KeyboardInterrupt, SIGTERM (raised as SystemExit(143)) or any other exception the running trials are ended and
    waited for, then it is raised again.

    Args:
        run: The study's folder.
        trials: In the order to start them.
        workers: Trials at a time.
        threads: OpenMP threads of each.
        listener: Is told what happens, in this thread.
        command: Runs the trial in the folder that is appended to it.
        preload: What `command`, being `python -m MODULE`, imports: where it helps and is safe, a nursery imports this
            once and forks the trials. Empty: a fresh process for each.
        spread: Processes and GPUs of each trial; None: a process each, and the GPUs that are here in turn.
    """
    first: dict[str, Trial] = {}
    for trial in trials:
        first.setdefault(trial.key, trial)
    skipped = {key for key in first if (_folder(run, key) / "record.json").exists()}
    waiting = [trial for key, trial in first.items() if key not in skipped]
    for key in first.keys() & skipped:
        listener(Event("skipped", first[key]))
    # Plain processes import side by side: a nursery gains nothing where each worker has one trial at most.
    spread = Spread() if spread is None else spread
    plain = spread.alone and threads == 1 and tuple(command[1:-1]) == ("-m",)
    forks = sys.platform == "linux" and plain and len(waiting) > workers
    errors: dict[str, str] = {}
    with (
        _exit_on_sigterm(),
        _Starter(spread, command, preload if forks else (), environment(threads)) as starter,
        contextlib.closing(_run(run, waiting, workers, starter)) as events,
    ):
        for event in events:
            if event.kind == "failed":
                errors[event.trial.key] = event.error
            listener(event)
    return Outcome(
        finished=[trial for trial in trials if trial.key not in skipped and trial.key not in errors],
        failed=[(trial, errors[trial.key]) for trial in trials if trial.key in errors],
        skipped=[trial for trial in trials if trial.key in skipped],
    )


def _run(run: Path, trials: Sequence[Trial], workers: int, starter: _Starter) -> Generator[Event, None, None]:
    """Runs the trials, telling what happens; ends those that still run when it is closed or an exception passes."""
    waiting = deque((trial, 1) for trial in trials)
    running: list[_Running] = []
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                trial, attempt = waiting.popleft()
                yield Event("started", trial)
                folder = _folder(run, trial.key)
                slot = min(set(range(workers)) - {one.slot for one in running})
                try:
                    running.append(_Running(trial, attempt, folder, slot, _start(trial, folder, slot, starter)))
                except OutputError as error:
                    yield _failed(trial, folder, str(error))
            select.select([one.process.stdout for one in running if one.talks], [], [], TICK_SECONDS)
            for one in list(running):
                ended = one.process.poll() is not None  # asked before the last lines are read, so that none is missed
                yield from one.progress()
                if ended:
                    running.remove(one)
                    event = one.end()
                    if event.kind == "retried":
                        waiting.appendleft((one.trial, one.attempt + 1))
                    yield event
    finally:
        _stop(running)


class _Process(Protocol):
    """What a subprocess.Popen and a nursery's Fork have in common."""

    pid: int
    stdin: IO[bytes]
    stdout: IO[bytes]

    def poll(self) -> int | None: ...


class _Running:
    """A trial that runs."""

    def __init__(self, trial: Trial, attempt: int, folder: Path, slot: int, process: _Process) -> None:
        self.trial, self.attempt, self.folder, self.slot, self.process = trial, attempt, folder, slot, process
        self.started = time.monotonic()
        self.loss: float | None = None
        self.talks = True
        self.unread = b""
        os.set_blocking(process.stdout.fileno(), False)

    def progress(self) -> Iterator[Event]:
        """The progress told since the last call. Lines of any other form are some library's and are passed over."""
        while self.talks and (piece := self.process.stdout.read(1 << 16)) is not None:
            self.talks = bool(piece)
            *lines, self.unread = (self.unread + piece).split(b"\n")
            for line in lines:
                with contextlib.suppress(ValueError, KeyError, TypeError):
                    told = json.loads(line)
                    loss = None if told["loss"] is None else float(told["loss"])
                    event = Event(
                        "progress", self.trial, str(told["phase"]), int(told["step"]), int(told["steps"]), loss
                    )
                    self.loss = self.loss if loss is None else loss
                    yield event

    def end(self) -> Event:
        """What became of the trial, its process having ended."""
        code = self.process.poll() or 0
        _signal(self.process, signal.SIGKILL)  # whatever it started and left behind
        self.process.stdin.close()
        self.process.stdout.close()
        seconds = time.monotonic() - self.started
        if (self.folder / "record.json").exists():
            return Event("finished", self.trial, loss=self.loss, seconds=seconds)
        if (self.folder / AGAIN).exists():  # it asks for it: memory ended, and the next attempt knows
            self.attempt -= 1
            return Event("retried", self.trial, error=_reason(self.folder, code), seconds=seconds)
        if code < 0 and self.attempt < ATTEMPTS:
            return Event("retried", self.trial, error=_reason(self.folder, code), seconds=seconds)
        return _failed(self.trial, self.folder, _reason(self.folder, code), seconds)


class _Starter:
    """Starts trials: forked by a nursery while there is something to preload, else as fresh processes."""

    def __init__(self, spread: Spread, command: Sequence[str], preload: Sequence[str], env: Mapping[str, str]) -> None:
        self.spread, self.command, self.preload, self.env = spread, command, preload, env
        self.nursery: Nursery | None = None

    def __enter__(self) -> _Starter:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def start(self, folder: Path, slot: int, lock: int) -> _Process:
        """Starts the trial in `folder` as worker number `slot`; it keeps the descriptor `lock` open while it lives."""
        with (folder / "log.txt").open("wb") as log:
            while self.preload:
                fresh = self.nursery is None
                self.nursery = self.nursery or Nursery(self.command[-1], self.preload, self.env)
                try:
                    return self.nursery.fork(folder, log.fileno(), lock)
                except NurseryLost:
                    self._close()
                    if fresh:  # it cannot serve on this machine; one that was killed is started again
                        self.preload = ()
            process = subprocess.Popen(
                [*self.spread.command(self.command), str(folder)],
                bufsize=0,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env={**self.env, **self.spread.environment(slot)},
                pass_fds=(lock,),
                start_new_session=True,  # Ctrl-C reaches the runner, which ends its trials in order
            )
        return cast("_Process", process)

    def _close(self) -> None:
        if self.nursery is not None:
            self.nursery.close()
            self.nursery = None


def _start(trial: Trial, folder: Path, slot: int, starter: _Starter) -> _Process:
    folder.mkdir(parents=True, exist_ok=True)
    with trial_lock(folder, ORPHAN_SECONDS) as lock:
        for path in folder.iterdir():
            if path.name in KEPT:
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
        write_json(folder / "spec.json", trial.spec)
        return starter.start(folder, slot, lock)


def _stop(running: Sequence[_Running]) -> None:
    """Ends trials: asks first, then kills, and waits until each is gone."""
    for number, seconds in ((signal.SIGTERM, GRACE_SECONDS), (signal.SIGKILL, math.inf)):
        deadline = time.monotonic() + seconds
        alive = [one for one in running if one.process.poll() is None]
        for one in alive:
            _signal(one.process, number)
        while any(one.process.poll() is None for one in alive) and time.monotonic() < deadline:
            time.sleep(0.01)
    for one in running:
        one.process.stdin.close()
        one.process.stdout.close()


def _signal(process: _Process, number: int) -> None:
    """Sends a signal to the process and all it started, if any is left."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def _failed(trial: Trial, folder: Path, error: str, seconds: float = 0.0) -> Event:
    write_json(folder / "failed.json", {"key": trial.key, "error": error})
    return Event("failed", trial, error=error, seconds=seconds)


def _reason(folder: Path, code: int) -> str:
    """Why a trial without a record ended, from its exit code and the last lines of its log."""
    if code < 0:
        return f"killed by signal {-code} ({signal.Signals(-code).name})"
    lines = (folder / "log.txt").read_text(encoding="utf-8", errors="replace").splitlines()
    said = "\n".join([line for line in lines if line.strip()][-ERROR_LINES:])[-ERROR_CHARACTERS:]
    return said or f"ended with exit code {code} and without a record or a word in its log"


def _folder(run: Path, key: str) -> Path:
    return run / "trials" / key


def environment(threads: int) -> dict[str, str]:
    """What a trial's process sees: so many threads, and output that is not held back."""
    count = str(threads)
    return {
        **os.environ,
        "OMP_NUM_THREADS": count,
        "MKL_NUM_THREADS": count,
        "TOKENIZERS_PARALLELISM": "false",
        "PYTHONUNBUFFERED": "1",
    }


@contextlib.contextmanager
def _exit_on_sigterm() -> Iterator[None]:
    """Turns SIGTERM into SystemExit(143), so that it unwinds as Ctrl-C does; only the main thread may."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def leave(number: int, _: object) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
