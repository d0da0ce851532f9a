"""Monitors: what is wrong with a step, seen before the optimizer takes it, and with the way that training goes."""

from __future__ import annotations

import math
from collections import defaultdict, deque
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from composer.config_trainer import MonitorsConfig
from composer.trial.events import Event
from composer.trial.history import Step

WINDOW = 100  # steps that a median is taken of
LEAST = 20  # steps before anything can be told from them
GROUP = 64  # rows of a group that a row is compared with
SPIKE = 8.0  # robust standard deviations
MAD = 1.4826  # what makes the median absolute deviation a standard deviation, where errors are normal


class Monitors:
    """Watches steps in order. All it knows comes from the steps it was shown, so that a resumed run sees the same."""

    def __init__(self, config: MonitorsConfig, groups: NDArray[np.int64], learned: NDArray[np.int64]) -> None:
        """Watches as `config` says.

        Args:
            config: Policies and thresholds.
            groups: (n_rows,) the group (category and source) of each row of the mixture, whose losses are alike.
            learned: (n_rows,) tokens of each row that have a loss.
        """
        self.config, self.groups, self.learned = config, groups, learned
        self._levels: dict[int, deque[float]] = defaultdict(lambda: deque(maxlen=GROUP))
        self._excess: deque[float] = deque(maxlen=WINDOW)
        self._norms: deque[float] = deque(maxlen=WINDOW)

    def look(self, step: Step) -> list[Event]:
        """What is wrong with a step, the most serious first; it is not remembered."""
        return list(self._found(step))

    def remember(self, step: Step) -> None:
        """Takes a step as one of those that later ones are compared with."""
        if not (step.taken and math.isfinite(step.loss) and math.isfinite(step.grad_norm)):
            return
        if (excess := self._above(step)) is not None:
            self._excess.append(excess)
        self._norms.append(math.log(max(step.grad_norm, 1e-30)))
        for place, loss in zip(step.places.tolist(), step.losses.tolist(), strict=True):
            if math.isfinite(loss):
                self._levels[int(self.groups[place])].append(loss)

    def _found(self, step: Step) -> Iterator[Event]:
        if not (math.isfinite(step.loss) and math.isfinite(step.grad_norm)):
            what = "loss" if not math.isfinite(step.loss) else "gradient"
            told = f"the {what} of step {step.number} is no finite number"
            yield Event(step.number, "divergence", self.config.divergence.policy, told)
            return
        spike = self.config.spike
        excess = self._above(step)
        if spike.policy != "off" and excess is not None and len(self._excess) >= LEAST:
            score = _score(excess, self._excess)
            if score > (spike.threshold or SPIKE):
                yield Event(
                    step.number, "spike", spike.policy,
                    f"the rows of step {step.number} are {excess:.2f} nats a token harder than their like, "
                    f"{score:.0f} robust standard deviations", round(score, 2),
                )  # fmt: skip

    def _above(self, step: Step) -> float | None:
        """By how much the rows of a step are harder than those of their groups have been lately, a token."""
        total, count = 0.0, 0
        for place, loss in zip(step.places.tolist(), step.losses.tolist(), strict=True):
            level = self._levels.get(int(self.groups[place]))
            if level and math.isfinite(loss):
                weight = int(self.learned[place])
                total += weight * (loss - float(np.median(level)))
                count += weight
        return total / count if count else None


def _score(value: float, before: deque[float]) -> float:
    """Robust standard deviations of a value above the median of those before."""
    known = np.array(before)
    middle = float(np.median(known))
    spread = MAD * float(np.median(np.abs(known - middle)))
    return (value - middle) / max(spread, 1e-9)
