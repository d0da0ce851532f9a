"""Measures what a study's trials take, by a short one of every shape, as many side by side as the study runs."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pyarrow.parquet as pq
from rich.console import Console

from composer.artifacts import read_json, write_json
from composer.config import LauncherConfig
from composer.errors import TrialError
from composer.pool import Pool
from composer.study.cost import key_of
from composer.study.plan import Plan
from composer.study.runner import Trial, environment
from composer.study.spread import Spread
from composer.trial.measure import STEPS
from composer.trial.speed import Speed, keep

ROWS = 500  # at least, of a mixture's, if it has as many
COMMAND = (sys.executable, "-m", "composer.trial.measure")


def measure(plan: Plan, pool: Pool, launcher: LauncherConfig, console: Console) -> dict[str, Speed]:
    """Trains some steps and evaluates some items of every shape of trial, and keeps what that took for later plans.

    Arms of one shape differ in their mixtures alone; the first stands for all.

    Args:
        plan: The study's.
        pool: Its pool.
        launcher: How it would run.
        console: Where to show what happens.

    Returns:
        Arm → the speed of its shape, for the first arm of each.

    Raises:
        TrialError: A trial cannot train.
    """
    spread = Spread.of(launcher)
    shapes: dict[str, Trial] = {}
    for trial in plan.trials:
        shapes.setdefault(key_of(trial.spec, spread), trial)
    found = {}
    for number, (key, trial) in enumerate(shapes.items(), 1):
        with console.status(f"measuring {trial.arm}, shape {number} of {len(shapes)}"):
            found[trial.arm] = keep(key, _measured(trial, plan, pool, launcher))
    return found


def _measured(trial: Trial, plan: Plan, pool: Pool, launcher: LauncherConfig) -> list[Speed]:
    with tempfile.TemporaryDirectory(prefix="composer-measure-") as scratch:
        data = Path(scratch) / trial.spec["mixture"]["folder"] / "data"
        data.mkdir(parents=True)
        rows = max(ROWS, 2 * STEPS * trial.spec["trainer"]["batch_size"])
        # A mixture's rows lie in random order: the first are like all.
        pq.write_table(pool.take(plan.mixtures[trial.arm].positions[:rows]), data / "rows.parquet")
        folders = [Path(scratch) / "trials" / str(place) for place in range(launcher.workers)]
        for folder in folders:
            folder.mkdir(parents=True)
            write_json(folder / "spec.json", trial.spec)
        started = [_start(folder, launcher, place) for place, folder in enumerate(folders)]
        said = [process.communicate()[1] for process in started]
        for process, told in zip(started, said, strict=True):
            if process.returncode:
                lines = told.strip().splitlines()
                raise TrialError(f"measuring {trial.arm} failed: {lines[-1] if lines else 'it said nothing'}")
        return [Speed(**read_json(folder / "speed.json")) for folder in folders]


def _start(folder: Path, launcher: LauncherConfig, place: int) -> subprocess.Popen[str]:
    spread = Spread.of(launcher)
    return subprocess.Popen(
        [*spread.command(COMMAND), str(folder)], env={**environment(launcher.threads), **spread.environment(place)},
        text=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip
