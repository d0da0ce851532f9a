"""Repeats: steps that are all but made of a few rows, which no loss shows: rows that were just read are easy."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence

import numpy as np

from composer.trial.history import Step

BACK = 4  # steps before, which a row may also be in
WINDOW = 100  # steps that a share is held against
LEAST = 20  # of them that must be known
THRESHOLD = 0.75  # of a step's rows
ORDINARY = 0.25  # the median share from which on repeats are what the mixture is made of


class Repeats:
    """Watches steps in order."""

    def __init__(self, ids: Sequence[str], threshold: float) -> None:
        """Knows no steps.

        Args:
            ids: (n_rows,) of the rows of the mixture; a row that a mixture repeats keeps its id.
            threshold: A share of a step's rows; 0 is the default.
        """
        self._ids, self._threshold = ids, threshold or THRESHOLD
        self._before: deque[set[str]] = deque(maxlen=BACK)
        self._shares: deque[float] = deque(maxlen=WINDOW)

    def look(self, step: Step) -> float | None:
        """The share of a step's rows that are also elsewhere in it or just before it, where that is far too large."""
        share = self._share(step)
        known = len(self._shares) >= LEAST and float(np.median(self._shares)) < ORDINARY
        return share if known and share >= self._threshold else None

    def remember(self, step: Step) -> None:
        """Takes a step."""
        self._shares.append(self._share(step))
        self._before.append(set(self._rows(step)))

    def _share(self, step: Step) -> float:
        rows = Counter(self._rows(step))
        again = sum(count for row, count in rows.items() if count > 1 or any(row in of for of in self._before))
        return again / max(rows.total(), 1)

    def _rows(self, step: Step) -> list[str]:
        return [self._ids[place] for place in np.unique(step.places).tolist()]
