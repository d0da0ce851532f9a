"""What a study shows while it runs: a live table on a terminal, one plain line per ended trial elsewhere."""

from __future__ import annotations

import time
from collections.abc import Sequence

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from composer.study.runner import Event, Trial


class Display:
    """A listener for `run_trials`, and a context manager that ends the live table."""

    def __init__(self, trials: Sequence[Trial], console: Console | None = None) -> None:
        """Prepares to show `trials`, of which those with one key count once."""
        self.console = console or Console()
        self.remaining = {trial.key: trial.steps for trial in trials}  # optimizer steps left, of trials that are left
        self.total = len(self.remaining)
        self.ended = 0
        self.steps = 0  # optimizer steps of the trials that finished here, for the pace
        self.partial: dict[str, int] = {}
        self.began = time.monotonic()
        self.rows: dict[str, TaskID] = {}
        self.table = Progress(
            TextColumn("{task.description}", markup=False),
            TextColumn("{task.fields[phase]}", markup=False),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[note]}", markup=False),
            console=self.console,
            transient=True,
            disable=not self.console.is_terminal or self.console.is_dumb_terminal,
        )
        self.all = self.table.add_task("all trials", total=sum(self.remaining.values()) or None, phase="", note="")

    def __enter__(self) -> Display:
        """Begins the live table, where the output is a terminal."""
        self.began = time.monotonic()
        self.table.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Clears the live table; the lines of ended trials stay."""
        self.table.stop()

    def __call__(self, event: Event) -> None:
        """Shows one event."""
        key = event.trial.key
        if event.kind == "started":
            self.rows[key] = self.table.add_task(_name(event.trial), total=None, phase="start", note="")
        elif event.kind == "progress":
            if event.phase == "train":
                self.partial[key] = event.step
            self.table.update(
                self.rows[key],
                total=event.steps or None,
                completed=event.step,
                phase=event.phase,
                note="" if event.loss is None else f"loss {event.loss:.3f}",
            )
        else:
            self._leave(event)
        self._show_overall()

    def _leave(self, event: Event) -> None:
        key, name = event.trial.key, _name(event.trial)
        self.partial.pop(key, None)
        if key in self.rows:
            self.table.remove_task(self.rows.pop(key))
        if event.kind == "retried":
            self._say(f"{name}: {event.error}; it is tried once more")
            return
        steps = self.remaining.pop(key, 0)
        self.ended += 1
        count = f"{self.ended}/{self.total}"
        if event.kind == "finished":
            self.steps += steps
            loss = "" if event.loss is None else f", loss {event.loss:.3f}"
            self._say(f"{count} {name}: {event.seconds:.1f} s{loss}")
        elif event.kind == "failed":
            self._say(f"{count} {name}: failed after {event.seconds:.1f} s: {event.error}")

    def _show_overall(self) -> None:
        done, left = self.steps + sum(self.partial.values()), sum(self.remaining.values()) - sum(self.partial.values())
        note = f"{self.ended}/{self.total}"
        if self.steps:  # until a trial has finished, the time that evaluation takes is unknown
            note += f", {_duration((time.monotonic() - self.began) * left / done)} left"
        self.table.update(self.all, total=(done + left) or None, completed=done, note=note)

    def _say(self, line: str) -> None:
        self.console.print(line, markup=False, highlight=False, soft_wrap=True)


def _name(trial: Trial) -> str:
    return f"{trial.label or trial.arm} seed {trial.seed}"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
