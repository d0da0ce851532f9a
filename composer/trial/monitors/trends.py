"""Drift and plateau: how the losses of a run go over many steps, held against the best that they have been."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from composer.trial.history import Step
from composer.trial.monitors.levels import FLOOR, MAD, NINTH, quantile

ROWS = 64  # of a group that are remembered
FEWEST = 12  # of them that are looked at, although older than half of all; and that must be known
ROW = 3.0  # spreads that one row counts at most
RISE = 0.75  # spreads above the best level that a row may be
THRESHOLD = 4.5  # of the sum of what steps are beyond that
LASTS = 10  # steps that a rise must have lasted
BETTER = 0.25  # spreads by which a level must fall to have become better
PLATEAU = 300  # steps without a better level


@dataclass(frozen=True)
class Best:
    """The lowest level that a group of rows has reached: the median of losses, and their robust spread."""

    level: float
    spread: float


@dataclass(frozen=True)
class Rise:
    """A loss that keeps above the best that it was.

    Attributes:
        score: The sum of what the steps were beyond what is ordinary, in spreads of rows.
        since: The step at which it began.
        nats: By which the rows of the step are above their best level, in the mean.
        rate: The learning rate at which the levels last became better.
    """

    score: float
    since: int
    nats: float
    rate: float


class Trends:
    """Watches steps in order. Steps add up while their rows lie above the best level of their groups (CUSUM).

    E. S. Page, "Continuous Inspection Schemes", Biometrika 41 (1954), with the best level as the target.
    """

    def __init__(self, groups: NDArray[np.int64], threshold: float, patience: float) -> None:
        """Knows no steps.

        Args:
            groups: (n_rows,) the group of each row of the mixture.
            threshold: Of the sum, in spreads of rows; 0 is the default.
            patience: Steps without a better level; 0 is the default.
        """
        self._groups, self._threshold, self._patience = groups, threshold or THRESHOLD, patience or PLATEAU
        self._known: dict[int, deque[float]] = {}
        self._seen: dict[int, int] = {}
        self._best: dict[int, Best] = {}
        self._marks: dict[int, float] = {}
        self._sum, self._since, self._rate, self._bettered = 0.0, 0, math.nan, 0

    def rises(self, step: Step) -> Rise | None:
        """Whether the loss has kept rising up to a step; it is not remembered."""
        total, nats = self._with(step)
        if not self._sum or total <= self._threshold or step.number - self._since < LASTS:
            return None
        return Rise(total, self._since, nats, self._rate)

    def stands(self, step: Step) -> int | None:
        """For how many steps no level has become better, where that is too many."""
        steps = step.number - self._bettered
        return steps if self._best and steps >= self._patience else None

    def remember(self, step: Step, told: bool) -> None:
        """Takes a step; `told`: a trend was found at it, and what is best begins anew."""
        if told:
            self._best.clear()
            self._marks.clear()
            self._sum, self._since, self._bettered = 0.0, 0, step.number
        else:
            before, (self._sum, _) = self._sum, self._with(step)
            self._since = self._since if before else step.number
        finite = np.isfinite(step.losses)
        groups = self._groups[step.places[finite]]
        for group in np.unique(groups).tolist():
            self._add(group, step.losses[finite][groups == group].tolist(), step)

    def _with(self, step: Step) -> tuple[float, float]:
        """The sum with a step, and by how many nats its rows are above their best in the mean."""
        told = [
            ((loss - of.level) / of.spread, loss - of.level)
            for place, loss in zip(step.places.tolist(), step.losses.tolist(), strict=True)
            if math.isfinite(loss) and (of := self._best.get(int(self._groups[place]))) is not None
        ]
        if not told:
            return self._sum, 0.0
        spreads, nats = np.array(told).T
        return max(0.0, self._sum + float(np.clip(spreads, -ROW, ROW).mean()) - RISE), float(nats.mean())

    def _add(self, group: int, losses: list[float], step: Step) -> None:
        known = self._known.setdefault(group, deque(maxlen=ROWS))
        known.extend(losses)
        self._seen[group] = self._seen.get(group, 0) + len(losses)
        if len(known) < FEWEST:
            return
        latest = np.sort(np.array(known)[-max(FEWEST, self._seen[group] // 2) :])
        level = float(quantile(latest, 0.5))
        near = MAD * float(quantile(np.sort(np.abs(latest - level)), 0.5))
        spread = max(near, (float(quantile(latest, 0.9)) - level) / NINTH, FLOOR)
        if (best := self._best.get(group)) is None or level < best.level:
            self._best[group], self._rate = Best(level, spread), step.learning_rate
        if (mark := self._marks.get(group)) is None or level < mark - BETTER * spread:
            self._marks[group], self._bettered = level, step.number
