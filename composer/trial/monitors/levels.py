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
        self._known: dict[int, tuple[deque[float], deque[float]]] = {}  # losses, logarithms of lengths
        self._seen: dict[int, int] = {}

    def add(self, step: Step) -> None:
        """Remembers the losses of a step's rows."""
        for place, loss in zip(step.places.tolist(), step.losses.tolist(), strict=True):
            if math.isfinite(loss):
                group = int(self._groups[place])
                losses, lengths = self._known.setdefault(group, (deque(maxlen=ROWS), deque(maxlen=ROWS)))
                losses.append(loss)
                lengths.append(float(self._lengths[place]))
                self._seen[group] = self._seen.get(group, 0) + 1

    def forget(self) -> None:
        """Knows no losses again."""
        self._known.clear()
        self._seen.clear()

    def of(self, places: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The median and the robust spread of rows like each.

        Args:
            places: (n,) rows.

        Returns:
            (n,) and (n,), in nats; NaN where too few are known.
        """
        middle, spread = np.full((2, len(places)), np.nan)
        groups = self._groups[places]
        for group in np.unique(groups).tolist():
            seen = self._seen.get(group, 0)
            if seen < LEAST:
                continue
            losses, lengths = (np.array(known)[-max(FEWEST, seen // 2) :] for known in self._known[group])
            rows = np.flatnonzero(groups == group)
            apart = np.abs(lengths - self._lengths[places[rows], None])
            nearest = np.argsort(apart, axis=1, kind="stable")[:, :LIKE]
            like = np.sort(losses[nearest], axis=1)
            middle[rows] = quantile(like, 0.5)
            near = MAD * quantile(np.sort(np.abs(like - middle[rows, None]), axis=1), 0.5)
            spread[rows] = np.maximum(np.maximum(near, (quantile(like, 0.9) - middle[rows]) / NINTH), FLOOR)
        return middle, spread


def quantile(ordered: NDArray[np.float64], share: float) -> NDArray[np.float64]:
    """Of sorted values along the last axis, between the two nearest; NumPy's own takes far longer for so few."""
    at = share * (ordered.shape[-1] - 1)
    low = int(at)
    high = min(low + 1, ordered.shape[-1] - 1)
    between: NDArray[np.float64] = ordered[..., low] + (at - low) * (ordered[..., high] - ordered[..., low])
    return between
