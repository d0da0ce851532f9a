"""What a training run did, step by step and row by row, kept on disk in parts beside the checkpoints."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from composer.pool.store import write_table

STEPS_SCHEMA = pa.schema(
    [
        ("step", pa.int32()),
        ("loss", pa.float32()),  # as it was before the step, in nats a token or row
        ("grad_norm", pa.float32()),  # before clipping
        ("learning_rate", pa.float32()),
        ("tokens", pa.int32()),
        ("seconds", pa.float32()),
        ("taken", pa.bool_()),  # False where the optimizer left the step out
    ]
)
ROWS_SCHEMA = pa.schema(
    [("step", pa.int32()), ("place", pa.int32()), ("loss", pa.float32())]  # the mean of a row's learned tokens
)


@dataclass(frozen=True, eq=False)
class Step:
    """One optimizer step.

    Attributes:
        number: From 1.
        loss: The step's loss before the weights moved.
        grad_norm: The norm of its gradient before clipping.
        learning_rate: Of the step.
        tokens: Read, padding left out.
        seconds: On the clock.
        taken: Whether the optimizer moved the weights.
        places: (n,) each example's row, by its place in the mixture.
        losses: (n,) float32, the mean loss of each example's learned tokens; NaN where it has none.
    """

    number: int
    loss: float
    grad_norm: float
    learning_rate: float
    tokens: int
    seconds: float
    taken: bool
    places: NDArray[np.int64]
    losses: NDArray[np.float32]


@dataclass
class History:
    """The steps of a run so far; `folder` gets `history/*.parquet` and `losses/*.parquet`, a part for each `save`."""

    folder: Path
    steps: list[Step] = field(default_factory=list)
    saved: int = 0  # of the steps
    writes: bool = True  # of several processes, one

    def add(self, step: Step) -> None:
        """Takes the next step."""
        self.steps.append(step)

    def save(self) -> None:
        """Writes what is not written yet; parts are named by their last step."""
        new = self.steps[self.saved :]
        if not new or not self.writes:
            return
        name = f"{new[-1].number:08d}.parquet"
        told = {of: [getattr(step, _ATTRIBUTES.get(of, of)) for step in new] for of in STEPS_SCHEMA.names}
        rows = {
            "step": np.repeat([step.number for step in new], [len(step.places) for step in new]),
            "place": np.concatenate([step.places for step in new]),
            "loss": np.concatenate([step.losses for step in new]),
        }
        for part, table in (
            ("losses", pa.table(rows).cast(ROWS_SCHEMA)),
            ("history", pa.table(told, STEPS_SCHEMA)),
        ):
            (self.folder / part).mkdir(exist_ok=True)
            write_table(self.folder / part / name, table, 1 << 16)
        self.saved = len(self.steps)

    def go_back(self, step: int) -> None:
        """Forgets what came after a step, on disk too: a run that goes on from its checkpoint does it again.

        What was kept of the steps before is read, so that a new process knows what the old one saw.
        """
        for part in ("history", "losses"):
            for file in (self.folder / part).glob("*.parquet") if self.writes else ():
                if int(file.stem) > step:
                    file.unlink()
        self.steps = list(_read(self.folder, step))
        self.saved = len(self.steps)


_ATTRIBUTES = {"step": "number"}


def _read(folder: Path, last: int) -> Iterator[Step]:
    for file in sorted((folder / "history").glob("*.parquet")):
        steps = pq.read_table(file).to_pylist()
        rows = pq.read_table(folder / "losses" / file.name)
        owners, places, losses = (rows[name].to_numpy() for name in ROWS_SCHEMA.names)
        for told in steps:
            number = told.pop("step")
            low, high = np.searchsorted(owners, [number, number + 1])
            if number <= last:
                yield Step(number=number, places=places[low:high].astype(np.int64), losses=losses[low:high], **told)


def group_losses(
    steps: Sequence[Step], groups: NDArray[np.int64], names: Sequence[str]
) -> dict[str, list[list[float]]]:
    """[step, mean loss of its rows] for each group of rows, of the steps in which it has some.

    Args:
        steps: In order.
        groups: (n_rows,) the group of each row of the mixture, as a place in `names`.
        names: Of the groups.
    """
    found: dict[str, list[list[float]]] = {name: [] for name in names}
    for step in steps:
        of = groups[step.places]
        known = np.isfinite(step.losses)
        counts = np.bincount(of[known], minlength=len(names))
        sums = np.bincount(of[known], step.losses[known], minlength=len(names))
        for place in np.flatnonzero(counts).tolist():
            found[names[place]].append([step.number, round(float(sums[place] / counts[place]), 6)])
    return found
