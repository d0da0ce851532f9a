"""Locks on folders. The kernel lets go of them when their holder dies, however it died."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from composer.errors import OutputError

LOCK = ".lock"
POLL_SECONDS = 0.05


@contextmanager
def study_lock(run: Path, seconds: float = 0) -> Iterator[None]:
    """Holds the study's folder `run`, which is made where it is absent, for this process alone.

    Raises:
        OutputError: Another process holds it for longer than `seconds`.
    """
    run.mkdir(parents=True, exist_ok=True)
    descriptor = _take(run / LOCK, seconds)
    if descriptor is None:
        holder = (run / LOCK).read_text(encoding="utf-8").strip() or "unknown"
        raise OutputError(
            f"another process runs this study in {run} (pid {holder}); wait for it or choose another out="
        )
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def trial_lock(folder: Path, seconds: float) -> Iterator[int]:
    """Takes a trial's folder, waiting up to `seconds` for a trial of a killed study to die.

    Gives the lock's file descriptor, to hand to the trial's process: the lock lasts as long as any process has the
    descriptor open, so it outlives this block and ends with the trial.

    Raises:
        OutputError: A process still works in the folder.
    """
    descriptor = _take(folder / LOCK, seconds)
    if descriptor is None:
        raise OutputError(f"a trial still runs in {folder} after {seconds:g} s; wait for it or end it, then run again")
    try:
        yield descriptor
    finally:
        os.close(descriptor)  # not LOCK_UN, which would take the lock from the trial too


def try_lock(path: Path, seconds: float = 0) -> int | None:
    """The descriptor of the locked file, whose folder is made where it is absent; None where a process has the lock.

    Waits for it up to `seconds`. Closing the descriptor lets go of it, as the death of this process does.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    return _take(path, seconds)


def _take(path: Path, seconds: float) -> int | None:
    """The descriptor of the locked file, or None where another process has the lock for longer than `seconds`."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    deadline = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return descriptor
        except BlockingIOError:
            if time.monotonic() >= deadline:
                os.close(descriptor)
                return None
            time.sleep(POLL_SECONDS)
        except BaseException:
            os.close(descriptor)
            raise
