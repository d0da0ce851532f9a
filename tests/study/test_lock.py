"""Locks: one holder at a time, across processes, and none left by the dead."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from composer.errors import OutputError
from composer.study.lock import study_lock, trial_lock

HOLDER = """
import sys, time
from pathlib import Path
from composer.study.lock import study_lock
with study_lock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_holder_is_told_who_holds_it(tmp_path: Path) -> None:
    run = tmp_path / "new" / "run"
    with study_lock(run), pytest.raises(OutputError) as raised, study_lock(run):
        pass
    assert str(raised.value) == (
        f"another process runs this study in {run} (pid {os.getpid()}); wait for it or choose another out="
    )
    assert raised.value.exit_code == 2
    with study_lock(run):  # let go by the first, and not kept by the second
        pass


def test_a_killed_holder_holds_nothing(tmp_path: Path) -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(OutputError, match=rf"\(pid {holder.pid}\)"), study_lock(tmp_path):
        pass
    holder.kill()
    holder.communicate()
    with study_lock(tmp_path):
        pass


def test_the_study_lock_is_not_inherited(tmp_path: Path) -> None:
    with study_lock(tmp_path):
        child = subprocess.Popen(["sleep", "60"], close_fds=False)
    with study_lock(tmp_path):
        child.kill()
    child.wait()


def test_an_error_lets_go(tmp_path: Path) -> None:
    with pytest.raises(ValueError), study_lock(tmp_path):
        raise ValueError
    with study_lock(tmp_path):
        pass


def test_the_trial_lock_lasts_as_long_as_the_process_it_was_handed_to(tmp_path: Path) -> None:
    with trial_lock(tmp_path, 0) as descriptor:
        child = subprocess.Popen(["sleep", "60"], pass_fds=(descriptor,))
    started = time.monotonic()
    with pytest.raises(OutputError, match=f"a trial still runs in {tmp_path} after 0.3 s"), trial_lock(tmp_path, 0.3):
        pass
    assert 0.3 <= time.monotonic() - started < 2
    child.kill()
    with trial_lock(tmp_path, 5):
        pass
    child.wait()


def test_a_lock_that_could_not_be_taken_leaves_no_descriptor(tmp_path: Path) -> None:
    with trial_lock(tmp_path, 0):
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(3):
            with pytest.raises(OutputError), trial_lock(tmp_path, 0):
                pass
        assert len(os.listdir("/proc/self/fd")) == before
