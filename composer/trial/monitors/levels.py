"""What rows have cost lately, by their group and their length: what a row is held against."""

from __future__ import annotations

import math
from collections import deque

import numpy as np
from numpy.typing import NDArray

from composer.trial.history import Step

ROWS = 256  # of a group that are remembered
FEWEST = 24  # of them that are looked at, although older than half of all
LIKE = 48  # of them, the nearest in length, that a row is held against
LEAST = 8  # that must be known
FLOOR = 0.01  # nats; smaller differences are no news, however steady the losses were
MAD = 1.4826  # what makes the median absolute deviation a standard deviation, where values are normal
NINTH = 1.2816  # standard deviations from the median to the ninth decile, where they are


class Levels:
    """The losses of rows by group. A fast fall does not linger: only the latest half of a group is looked at."""

    def __init__(self, groups: NDArray[np.int64], learned: NDArray[np.int64]) -> None:
        """Knows no losses yet.

        Args:
            groups: (n_rows,) the group (category and source) of each row of the mixture.
            learned: (n_rows,) tokens of each row that have a loss.
        """
        self._groups = groups
        self._lengths = np.log(np.maximum(learned, 1))
        self._known: dict[int, deque[tuple[float, float]]] = {}
        self._seen: dict[int, int] = {}

    def add(self, step: Step) -> None:
        """Remembers the losses of a step's rows."""
        for place, loss in zip(step.places.tolist(), step.losses.tolist(), strict=True):
            if math.isfinite(loss):
                group = int(self._groups[place])
                self._known.setdefault(group, deque(maxlen=ROWS)).append((loss, float(self._lengths[place])))
                self._seen[group] = self._seen.get(group, 0) + 1

    def of(self, place: int) -> tuple[float, float] | None:
        """The median and the robust spread, in nats, of rows like one; None while too few are known."""
        group = int(self._groups[place])
        seen = self._seen.get(group, 0)
        if seen < LEAST:
            return None
        latest = np.array(self._known[group])[-max(FEWEST, seen // 2) :]
        nearest = np.argsort(np.abs(latest[:, 1] - self._lengths[place]), kind="stable")[:LIKE]
        like = np.sort(latest[nearest, 0])
        middle = _quantile(like, 0.5)
        near = MAD * _quantile(np.sort(np.abs(like - middle)), 0.5)
        return middle, max(near, (_quantile(like, 0.9) - middle) / NINTH, FLOOR)


def _quantile(ordered: NDArray[np.float64], share: float) -> float:
    """Of sorted values, between the two nearest; numpy's own takes twenty times as long for so few."""
    at = share * (len(ordered) - 1)
    low = int(at)
    high = min(low + 1, len(ordered) - 1)
    return float(ordered[low] + (at - low) * (ordered[high] - ordered[low]))
