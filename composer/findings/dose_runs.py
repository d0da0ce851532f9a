"""The runs of a dose ladder, reduced to what its curves need: sums over runs, and the noise of a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from composer.errors import FindingsError

Array = NDArray[np.float64]
ItemScores = Mapping[float, Mapping[int, Array]]  # dose → seed → (n_items,)


class Part(NamedTuple):
    """An estimate of a run's variance with its degrees of freedom."""

    variance: float
    df: int


@dataclass(frozen=True)
class Sums:
    """A ladder's runs with their levels taken out: one level a seed where seeds are paired, else one in all.

    A curve of shape x (n_doses,) and slope b leaves the residual sum of squares `total` − 2b·x·`q` + b²·x·`c`·x.

    Attributes:
        c: (n_doses, n_doses) centred products of the doses' indicators.
        q: (n_doses,) centred products of the indicators and the scores.
        total: Centred sum of squares of the scores.
    """

    c: Array
    q: Array
    total: float


@dataclass(frozen=True)
class Ladder:
    """The runs of a ladder, sorted by dose, then by seed.

    Attributes:
        doses: (n_doses,) ascending; each has a run.
        seeds: (n_seeds,) ascending.
        at: (n_runs,) the place of each run's dose.
        of: (n_runs,) the place of each run's seed.
        score: (n_runs,) mean over items.
        items: Items of the benchmark.
        paired: Whether each seed has a level of its own, shared by its doses.
        replicates: Variance of a run's score around its dose and, if paired, its seed, from seeds that repeat doses;
            without degrees of freedom where none does.
        from_items: What items that vary from seed to seed independently of each other give a mean over them; without
            degrees of freedom where there is one item, or no repeated dose.
    """

    doses: Array
    seeds: NDArray[np.int64]
    at: NDArray[np.int64]
    of: NDArray[np.int64]
    score: Array
    items: int
    paired: bool
    replicates: Part
    from_items: Part

    @property
    def noise(self) -> tuple[Part, ...]:
        """The estimates of a run's variance that tell something; each test and interval keeps to the stricter.

        Runs cannot scatter less than their items do, but with few seeds the replicates can by chance. They alone give
        what t tests and intervals promise; held to both, those are never narrower, and not led by lucky replicates.
        """
        return tuple(part for part in (self.replicates, self.from_items) if part.df and part.variance > 0)

    @property
    def variance(self) -> float:
        """The larger of the estimates of a run's variance; 0 where nothing scatters."""
        return max((part.variance for part in self.noise), default=0.0)

    @property
    def levels(self) -> NDArray[np.int64]:
        """(n_runs,) the place of the level that each run is measured from."""
        return self.of if self.paired else np.zeros_like(self.of)


def read_ladder(scores: ItemScores) -> Ladder:
    """Puts the runs in order and estimates their noise from seeds that repeat a dose.

    Seeds are paired where they recur: where doses and seeds hang together and leave something to estimate the noise
    from.

    Args:
        scores: Dose → seed → the run's item scores. The same items in the same order in all; any order of doses and
            seeds. A dose may lack seeds; one that lacks all is left out.

    Raises:
        FindingsError: There is no run, a dose is negative or not finite, or item scores are not finite or not of one
            length.
    """
    runs = sorted((float(dose), int(seed)) for dose, of in scores.items() for seed in of)
    tables = [np.asarray(scores[dose][seed], dtype=np.float64) for dose, seed in runs]
    _check(runs, tables)
    values = np.stack(tables)
    doses, at = np.unique([dose for dose, _ in runs], return_inverse=True)
    seeds, of = np.unique([seed for _, seed in runs], return_inverse=True)
    score = values.mean(axis=1)
    paired, df = _pairing(at, of)
    ladder = Ladder(doses, seeds, at, of, score, values.shape[1], paired, Part(0.0, df), Part(0.0, 0))
    return replace(ladder, replicates=_replicates(ladder), from_items=_from_items(values, at)) if df else ladder


def sums(at: NDArray[np.int64], levels: NDArray[np.int64], score: Array) -> Sums:
    """The sums of runs at dose places `at`, measured from `levels`, with (n_runs,) scores."""
    indicator, level = np.eye(int(at.max()) + 1)[at], np.eye(int(levels.max()) + 1)[levels]
    centred = indicator - level @ ((level.T @ indicator) / level.sum(axis=0)[:, None])
    own = score - (np.bincount(levels, score) / np.bincount(levels))[levels]
    return Sums(centred.T @ centred, centred.T @ own, float(own @ own))


def free_fit(of: Sums) -> float:
    """The sum of squares that a mean of its own for every dose takes off."""
    return float(of.q @ np.linalg.lstsq(of.c, of.q, rcond=None)[0])


def _replicates(ladder: Ladder) -> Part:
    found, df = sums(ladder.at, ladder.levels, ladder.score), ladder.replicates.df
    variance = (found.total - free_fit(found)) / df
    # Equal scores can still differ by the rounding of their means.
    rounding = (8 * np.finfo(np.float64).eps * float(np.abs(ladder.score).max())) ** 2
    return Part(variance if variance > rounding else 0.0, df)


def _from_items(values: Array, at: NDArray[np.int64]) -> Part:
    """Of what doses leave in (n_runs, n_items) values, the part of items within runs."""
    items = values.shape[1]
    squares, df = 0.0, 0
    for place in np.flatnonzero(np.bincount(at) > 1):
        table = values[at == place]
        left = table - table.mean(axis=0) - (table.mean(axis=1) - table.mean())[:, None]
        squares += float((left**2).sum())
        df += (len(table) - 1) * (items - 1)
    return Part(squares / df / items if df else 0.0, df)


def _pairing(at: NDArray[np.int64], of: NDArray[np.int64]) -> tuple[bool, int]:
    """Whether seeds are paired, and the degrees of freedom that this leaves."""
    doses, seeds, count = int(at.max()) + 1, int(of.max()) + 1, len(at)
    design = np.hstack([np.eye(doses)[at], np.eye(seeds)[of]])
    rank = int(np.linalg.matrix_rank(design))
    # Connected: only one of the dose and seed effects cannot be told from the others.
    if rank == doses + seeds - 1 and count > rank and doses > 1:
        return True, count - rank
    return False, count - doses


def _check(runs: list[tuple[float, int]], tables: list[Array]) -> None:
    if not runs:
        raise FindingsError("a dose ladder has no runs: it needs at least one finished trial; run its trials first")
    for (dose, seed), table in zip(runs, tables, strict=True):
        if not (np.isfinite(dose) and dose >= 0):
            raise FindingsError(f"a dose is {dose}: it must be a finite number of rows of at least 0; correct the plan")
        if table.ndim != 1 or table.shape != tables[0].shape or not table.size:
            raise FindingsError(
                f"dose {dose:g}, seed {seed} has item scores of shape {table.shape}, and dose {runs[0][0]:g}, seed "
                f"{runs[0][1]} of {tables[0].shape}: all must be (n_items,) of the same items; evaluate them on these"
            )
        if not np.isfinite(table).all():
            place = int(np.flatnonzero(~np.isfinite(table))[0])
            raise FindingsError(
                f"dose {dose:g}, seed {seed}: the score of item {place} is {table[place]}: it must be a finite number; "
                "mend the metric and run the trial again"
            )
