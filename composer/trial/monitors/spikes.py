"""Spikes: steps whose rows are far harder than their like, or whose gradient is far larger than those before."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from composer.trial.history import Step
from composer.trial.monitors.levels import MAD, Levels, quantile

WINDOW = 100  # steps that a value is held against
LEAST = 20  # of them that must be known
THRESHOLD = 7.0  # robust standard deviations
ALONE = 1.5  # times that, by which a gradient must stand out where the rows are as hard as their like
TAIL = 1.6449  # standard deviations from the median to the 95th percentile, where values are normal
ROW = 4.0  # spreads that one row counts at most where rows have to agree
AGREED = 3.0  # what they then have to come to, in standard deviations of their sum
STEADY = 0.1  # the least spread of the logarithm of the gradient's norm
AFTER = 0.5  # of a spike's score, which a later step must exceed to be a spike too …
FADES = 0.9  # … and what is left of that a step later
LASTING = 16  # steps in a row that stand out, after which all is learned anew


@dataclass(frozen=True)
class Excess:
    """By how much the rows of a step are harder than their like.

    Attributes:
        nats: A token.
        deviations: The same, in the spreads of such rows.
        agreed: The sum of the rows' own deviations, each cut at ±`ROW`, in standard deviations of such a sum: one row
            that is odd does not make it large.
    """

    nats: float
    deviations: float
    agreed: float


@dataclass(frozen=True)
class Spike:
    """A step that stands out.

    Attributes:
        is_new: Nothing that was told already explains it.
        loss: By how much its rows are harder than their like, in robust standard deviations of the steps before; 0
            where that is nothing special.
        norm: The same of its gradient's norm.
        nats: By which its rows are harder than their like, a token.
        times: The norm of its gradient, as a multiple of the median before.
    """

    is_new: bool
    loss: float
    norm: float
    nats: float
    times: float


class Spikes:
    """Watches steps in order."""

    def __init__(self, levels: Levels, learned: NDArray[np.int64], threshold: float) -> None:
        """Knows no steps.

        Args:
            levels: What rows have cost, as it is before each step that is looked at.
            learned: (n_rows,) tokens of each row that have a loss.
            threshold: In robust standard deviations; 0 is the default.
        """
        self._levels, self._learned, self._threshold = levels, learned, threshold or THRESHOLD
        self._losses, self._norms = Running(floor=1.0, level=0.0), Running(floor=STEADY)
        self._in_a_row = 0
        self._judged: tuple[NDArray[np.float32], Excess | None] | None = None  # the last step's losses, and theirs

    def look(self, step: Step) -> Spike | None:
        """What stands out in a step, if anything does; it is not remembered."""
        excess = self._excess(step)
        loss = self._losses.score(excess.deviations) if excess is not None and excess.agreed > AGREED else 0.0
        norm = self._norms.score(_log(step.grad_norm))
        loss = loss if loss > self._threshold else 0.0
        norm = norm if norm > self._threshold * (1 if loss else ALONE) else 0.0
        if not loss and not norm:
            return None
        new = loss > self._losses.wake or norm > self._norms.wake
        return Spike(new, loss, norm, excess.nats if excess else 0.0, self._norms.times(_log(step.grad_norm)))

    def remember(self, step: Step, spike: Spike | None) -> bool:
        """Takes a step that was taken; False where it stands out, so that later ones are not held against it."""
        for running, score in (
            (self._losses, spike.loss if spike else 0.0),
            (self._norms, spike.norm if spike else 0.0),
        ):
            running.fade(score if spike is not None and spike.is_new else 0.0)
        if spike is not None:
            self.outlast()
            return False
        self._in_a_row = 0
        if (excess := self._excess(step)) is not None:
            self._losses.add(excess.deviations)
        self._norms.add(_log(step.grad_norm))
        return True

    def outlast(self) -> None:
        """Another step in a row stood out or was left out; where that lasts, what was known before is forgotten."""
        self._in_a_row += 1
        if self._in_a_row >= LASTING:
            self._in_a_row = 0
            for known in (self._losses, self._norms, self._levels):
                known.forget()

    def _excess(self, step: Step) -> Excess | None:
        """What a step's rows are above the levels of their like; None where none is known."""
        if self._judged is not None and self._judged[0] is step.losses:
            return self._judged[1]
        middle, spread = self._levels.of(step.places)
        known = np.isfinite(step.losses) & np.isfinite(middle)
        self._judged = (step.losses, None)
        if not known.any():
            return None
        above, spread = step.losses[known] - middle[known], spread[known]
        tokens = self._learned[step.places[known]].astype(float)
        excess = Excess(
            nats=float(tokens @ above / tokens.sum()),
            deviations=float(tokens @ above / np.sqrt(tokens**2 @ spread**2)),
            agreed=float(np.clip(above / spread, -ROW, ROW).sum() / math.sqrt(len(above))),
        )
        self._judged = (step.losses, excess)
        return excess


class Running:
    """A value of each step, held against its running median in robust standard deviations.

    The spread is the larger of what the median absolute deviation and the 95th percentile say, so that a heavy upper
    tail counts.

    Attributes:
        wake: The score that a spike's after-effects explain.
    """

    def __init__(self, floor: float, level: float = -math.inf) -> None:
        """Knows no value.

        Args:
            floor: The least spread.
            level: The least median; a fall from above it is not held against a value that no longer falls.
        """
        self._floor, self._level, self.wake = floor, level, 0.0
        self._values: deque[float] = deque(maxlen=WINDOW)

    def score(self, value: float) -> float:
        """The value's score; 0 where too few are known."""
        if len(self._values) < LEAST:
            return 0.0
        known = np.sort(self._values)
        middle = float(quantile(known, 0.5))
        near = MAD * float(quantile(np.sort(np.abs(known - middle)), 0.5))
        tail = (float(quantile(known, 0.95)) - middle) / TAIL
        return (value - max(middle, self._level)) / max(near, tail, self._floor)

    def times(self, logarithm: float) -> float:
        """A value as a multiple of the median, of which logarithms are known; 1 where too few are."""
        return math.exp(logarithm - float(np.median(self._values))) if len(self._values) >= LEAST else 1.0

    def add(self, value: float) -> None:
        """Takes a value that was nothing special."""
        self._values.append(value)

    def forget(self) -> None:
        """Knows no value again."""
        self._values.clear()
        self.wake = 0.0

    def fade(self, score: float) -> None:
        """A step later, in which a spike of that score was let pass, or none."""
        self.wake = max(self.wake * FADES, AFTER * score)


def _log(norm: float) -> float:
    return math.log(max(norm, 1e-30))
