"""Reads what a trial leaves of its training: its ledger, the losses of rows, the history of steps, events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from composer.artifacts import read_json
from composer.errors import FindingsError
from composer.findings.trace.asked import Trial
from composer.findings.trace.found import Event, Step

BEFORE = 20  # steps whose median loss is the usual one of the next

Places = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Ledger:
    """Which rows every step reads: a line for each row and step, in their order.

    Attributes:
        step: (n,) from 1, ascending.
        place: (n,) of the row in the mixture's data.
        tokens: (n,) of the row, as the model reads it.
    """

    step: Places
    place: Places
    tokens: Places

    @property
    def steps(self) -> int:
        """How many steps there are."""
        return int(self.step[-1])

    def within(self, first: int, last: int) -> slice:
        """The lines of the steps from `first` to `last`."""
        low, high = np.searchsorted(self.step, [first, last + 1])
        return slice(int(low), int(high))

    @cached_property
    def of_like_length(self) -> bool:
        """Whether steps are made of rows of like length, as they are where rows are padded.

        It is so where lengths, by their ranks, vary within steps less than half as much as among all rows.
        """
        order = np.unique(self.tokens, return_inverse=True)[1].astype(float)
        counts = np.bincount(self.step)
        means = np.bincount(self.step, order) / np.maximum(counts, 1)
        free = len(order) - int((counts > 0).sum())
        within = ((order - means[self.step]) ** 2).sum() / max(free, 1)
        return free > 0 and float(within) < float(order.var()) / 2


def read_ledger(trial: Trial) -> Ledger:
    """Reads `ledger.parquet`.

    Raises:
        FindingsError: It cannot be read, or is empty.
    """
    path = trial.folder / "ledger.parquet"
    table = _read(path, ["step", "place", "tokens"])
    if not len(table):
        raise FindingsError(f"{path} is empty: remove {trial.folder} and run the recipe again")
    step, place, tokens = (table[name].to_numpy().astype(np.int64) for name in table.column_names)
    order = np.argsort(step, kind="stable")
    return Ledger(step[order], place[order], tokens[order])


def read_lines(trial: Trial, first: int, last: int) -> pa.Table:
    """The whole lines of the ledger of the steps from `first` to `last`."""
    within = (pc.field("step") >= first) & (pc.field("step") <= last)
    names = ["step", "block", "place", "id", "tokens", "learned"]
    return _read(trial.folder / "ledger.parquet", names, within).sort_by("step")


def read_losses(trial: Trial, first: int, last: int) -> dict[tuple[int, int], float]:
    """(step, place) → the mean loss of the row's tokens, of the steps from `first` to `last`, as far as they are known.

    Of files that overlap, after a trial was resumed, the last holds; a row that a step reads in pieces has their mean.
    """
    parts = list[pa.Table]()
    within = (pc.field("step") >= first) & (pc.field("step") <= last)
    for number, file in enumerate(sorted((trial.folder / "losses").glob("*.parquet"))):
        table = _read(file, ["step", "place", "loss"], within)
        parts.append(table.append_column("file", pa.array(np.full(len(table), number))))
    if not parts:
        return {}
    table = pa.concat_tables(parts)
    table = table.filter(pc.fill_null(pc.is_finite(table["loss"]), False))
    means = table.group_by(["step", "place", "file"]).aggregate([("loss", "mean")]).sort_by("file")
    return {(int(step), int(place)): loss for step, place, loss in _columns(means, "step", "place", "loss_mean")}


def read_steps(trial: Trial, first: int, last: int) -> tuple[Step, ...]:
    """What the history says of the steps from `first` to `last`."""
    names = ["step", "loss", "grad_norm", "learning_rate", "tokens", "seconds"]
    told = dict[int, tuple[float | None, ...]]()
    within = (pc.field("step") >= first - BEFORE) & (pc.field("step") <= last)
    for file in sorted((trial.folder / "history").glob("*.parquet")):
        told |= {int(row[0]): row for row in _columns(_read(file, names, within), *names)}
    found = list[Step]()
    for step in range(first, last + 1):
        before = [told[at][1] for at in range(step - BEFORE, step) if at in told]
        known = [loss for loss in before if loss is not None and np.isfinite(loss)]
        _, loss, norm, rate, tokens, seconds = map(_finite, told.get(step, (None,) * len(names)))
        usual = float(np.median(known)) if known else None
        found.append(Step(step, loss, usual, norm, rate, None if tokens is None else int(tokens), seconds))
    return tuple(found)


def steps_done(trial: Trial) -> int:
    """The last step of the history; 0 where there is none."""
    files = sorted((trial.folder / "history").glob("*.parquet"))
    return max((int(pc.max(_read(file, ["step"])["step"]).as_py() or 0) for file in files), default=0)


def read_events(trial: Trial) -> tuple[Event, ...]:
    """What the trial's monitors told, in the order of steps."""
    path = trial.folder / "events.json"
    if not path.is_file():
        return ()
    try:
        told = [
            Event(int(one["step"]), *(str(one[name]) for name in ("kind", "policy", "told"))) for one in read_json(path)
        ]
    except (ValueError, KeyError, TypeError) as error:
        raise FindingsError(f"{path} is not a list of events ({error}): remove it to go without") from error
    return tuple(sorted(told, key=lambda one: one.step))


def _read(path: Path, columns: Sequence[str], within: pc.Expression | None = None) -> pa.Table:
    try:
        return pq.read_table(path, columns=list(columns), filters=within)
    except (pa.ArrowException, OSError) as error:
        raise FindingsError(f"{path} cannot be read ({error}): remove it, and run the recipe again") from error


def _columns(table: pa.Table, *names: str) -> zip[tuple[float, ...]]:
    return zip(*(table[name].to_pylist() for name in names), strict=True)


def _finite(value: float | None) -> float | None:
    return None if value is None or not np.isfinite(value) else value
