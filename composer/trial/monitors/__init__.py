"""Monitors: what is wrong with a step, seen before the optimizer takes it, and with the way that training goes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from composer.config_trainer import TrainerConfig
from composer.trial.events import Event
from composer.trial.history import Step
from composer.trial.monitors.levels import Levels
from composer.trial.monitors.remedy import remedy
from composer.trial.monitors.repeats import Repeats
from composer.trial.monitors.spikes import Spike, Spikes
from composer.trial.monitors.trends import Rise, Trends

NAMED = 3  # rows that a sentence names


class Monitors:
    """Watches steps in order. All it knows comes from the steps it was shown, so that a resumed run sees the same."""

    def __init__(
        self, config: TrainerConfig, groups: NDArray[np.int64], learned: NDArray[np.int64], ids: Sequence[str]
    ) -> None:
        """Watches as `config.monitors` says.

        Args:
            config: The trainer's.
            groups: (n_rows,) the group (category and source) of each row of the mixture, whose losses are alike.
            learned: (n_rows,) tokens of each row that have a loss.
            ids: (n_rows,) of the rows.
        """
        self._config, self._ids = config, ids
        of = config.monitors
        self._levels = Levels(groups, learned)
        self._spikes = Spikes(self._levels, learned, of.spike.threshold)
        self._repeats = Repeats(ids, of.repeats.threshold)
        self._trends = Trends(groups, of.drift.threshold, of.plateau.threshold)

    def look(self, step: Step) -> list[Event]:
        """What is wrong with a step, the most serious first; it is not remembered."""
        return list(self._found(step))

    def remember(self, step: Step) -> None:
        """Takes a step as one of those that later ones are compared with."""
        self._repeats.remember(step)
        if not step.taken:
            self._spikes.outlast()
        if not (step.taken and math.isfinite(step.loss) and math.isfinite(step.grad_norm)):
            return
        if not self._spikes.remember(step, self._spikes.look(step)):
            return
        told = self._trends.rises(step) is not None or self._trends.stands(step) is not None
        self._trends.remember(step, told)
        self._levels.add(step)

    def _found(self, step: Step) -> Iterator[Event]:
        of = self._config.monitors
        if not (math.isfinite(step.loss) and math.isfinite(step.grad_norm)):
            yield Event(step.number, "divergence", of.divergence.policy, self._diverged(step))
            return
        spike = self._spikes.look(step)
        if spike is not None:
            if of.spike.policy != "off" and spike.is_new:
                score = round(max(spike.loss, spike.norm), 2)
                yield Event(step.number, "spike", of.spike.policy, _spiked(step, spike), score)
            return
        if of.repeats.policy != "off" and (share := self._repeats.look(step)) is not None:
            told = f"{share:.0%} of the rows of step {step.number} are also elsewhere in it or just before it"
            yield Event(step.number, "repeats", of.repeats.policy, told)
        if of.drift.policy != "off" and (rise := self._trends.rises(step)) is not None:
            told = _rose(step, rise, remedy(self._config, rise.rate))
            yield Event(step.number, "drift", of.drift.policy, told, round(rise.score, 2))
        elif of.plateau.policy != "off" and (steps := self._trends.stands(step)) is not None:
            told = f"the loss has not become better for {steps} steps before step {step.number}"
            yield Event(step.number, "plateau", of.plateau.policy, told)

    def _diverged(self, step: Step) -> str:
        if math.isfinite(step.loss):
            return f"the gradient of step {step.number} is no finite number"
        rows = [self._ids[place] for place in np.unique(step.places[~np.isfinite(step.losses)]).tolist()]
        told = f"the loss of step {step.number} is no finite number"
        if not rows or len(rows) == len(np.unique(step.places)):
            return f"{told} in any of its rows" if rows else told
        more = f" and {len(rows) - NAMED} more" if len(rows) > NAMED else ""
        return f"{told}, by {'row' if len(rows) == 1 else 'rows'} {', '.join(rows[:NAMED])}{more}"


def _spiked(step: Step, spike: Spike) -> str:
    told = []
    if spike.loss:
        told.append(f"its rows are {spike.nats:.2f} nats a token harder than their like, by {spike.loss:.0f}")
    if spike.norm:
        told.append(f"its gradient is {spike.times:.1f} times what it was, by {spike.norm:.0f}")
    return f"step {step.number} stands out: {'; '.join(told)} robust standard deviations"


def _rose(step: Step, rise: Rise, line: str) -> str:
    return (
        f"the loss has been rising since step {rise.since}: at step {step.number} rows are {rise.nats:.2f} nats a "
        f"token above the best that it was; to try, in this order: {line}"
    )
