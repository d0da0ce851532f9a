"""Published runs from a CSV file: one run a row, its mixture's shares and its scores."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from composer.errors import FindingsError

OFF = 0.005  # shares may sum to 1 within this, as rounded ones do; they are then made to


@dataclass(frozen=True)
class Swarm:
    """Many mixtures of the same categories, one run each, of one model.

    Attributes:
        name: What tells these runs from the others of the file, e.g. the model.
        categories: Names.
        benchmarks: Names.
        shares: (n_runs, n_categories), rows sum to 1.
        scores: (n_runs, n_benchmarks) finite, in the file's unit.
    """

    name: str
    categories: tuple[str, ...]
    benchmarks: tuple[str, ...]
    shares: NDArray[np.float64]
    scores: NDArray[np.float64]

    def with_mean(self, name: str, benchmarks: Sequence[str]) -> Swarm:
        """This with one more score: the unweighted mean of some."""
        mean = self.scores[:, [self.benchmarks.index(one) for one in benchmarks]].mean(axis=1)
        return replace(self, benchmarks=(*self.benchmarks, name), scores=np.column_stack([self.scores, mean]))

    def score(self, benchmark: str) -> NDArray[np.float64]:
        """(n_runs,) scores on one benchmark."""
        column: NDArray[np.float64] = self.scores[:, self.benchmarks.index(benchmark)]
        return column


def read_swarms(path: Path, shares: str, scores: str, group: str | None = None) -> dict[str, Swarm]:
    """Reads runs from a CSV file with a header.

    Args:
        path: The file.
        shares: Prefix of the columns that hold a category's share; the rest of the column's name is the category.
        scores: Prefix of the columns that hold a score; the rest is the benchmark.
        group: The column that tells swarms apart; None where the file is one swarm, which then has the file's name.

    Returns:
        One swarm a value of `group`, in the file's order.

    Raises:
        FindingsError: The file or a column is absent, a cell is not a finite number, a share is below 0, or the shares
            of a run do not sum to 1.
    """
    if not path.is_file():
        raise FindingsError(f"{path} is not a file: name a CSV file with one run a row")
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        names = list(reader.fieldnames or [])
        rows = list(reader)
    of_share = [name for name in names if name.startswith(shares)]
    of_score = [name for name in names if name.startswith(scores) and name not in of_share]
    for wanted, found in ((f"a column named {shares}…", of_share), (f"a column named {scores}…", of_score)):
        if not found:
            raise FindingsError(f"{path} has no {wanted[2:]}: it has {', '.join(names) or 'no header'}")
    if group is not None and group not in names:
        raise FindingsError(f"{path} has no column {group}: it has {', '.join(names)}")
    if not rows:
        raise FindingsError(f"{path} has a header and no run: give one run a row")
    places: dict[str, list[int]] = {}
    for place, row in enumerate(rows):
        places.setdefault(path.stem if group is None else row[group], []).append(place)
    share, score = (_numbers(path, rows, columns) for columns in (of_share, of_score))
    total = share.sum(axis=1)
    for bad in np.flatnonzero((np.abs(total - 1) > OFF) | (share < 0).any(axis=1)):
        raise FindingsError(
            f"{path}, run {bad + 1}: shares from {share[bad].min():g} that sum to {total[bad]:g}: shares are at least "
            f"0 and sum to 1, within {OFF}; mend the file or the prefix {shares}"
        )
    share = share / total[:, None]
    categories, benchmarks = (
        tuple(name.removeprefix(prefix) for name in columns)
        for prefix, columns in ((shares, of_share), (scores, of_score))
    )
    return {name: Swarm(name, categories, benchmarks, share[where], score[where]) for name, where in places.items()}


def _numbers(path: Path, rows: Sequence[Mapping[str, str]], columns: Sequence[str]) -> NDArray[np.float64]:
    """(n_rows, n_columns) finite numbers."""
    values = np.empty((len(rows), len(columns)))
    for place, row in enumerate(rows):
        for column, name in enumerate(columns):
            try:
                values[place, column] = float(row[name])
            except (TypeError, ValueError):
                values[place, column] = np.nan
            if not np.isfinite(values[place, column]):
                raise FindingsError(
                    f"{path}, run {place + 1}: {name} is {row[name]!r}, which is not a finite number: give the run's "
                    "number or leave the run out"
                )
    return values
