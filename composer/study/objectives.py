"""What a search wants: one weighted score, or several objectives that are kept apart, and how noisy they are."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, variance
from typing import Any

import numpy as np

from composer.config import BenchmarksConfig
from composer.config_search import COST, SearchConfig
from composer.errors import TrialError


@dataclass(frozen=True)
class Objectives:
    """Functions of a trial's scores, more is better of each.

    Attributes:
        names: Of the objectives, in order.
        weights: Of the one objective, benchmark → weight; empty where objectives are kept apart.
        signs: Benchmark → 1, or -1 where less of its accuracy is better.
    """

    names: tuple[str, ...]
    weights: Mapping[str, float]
    signs: Mapping[str, int]

    def of(self, scores: Mapping[str, float], tokens: int) -> list[float]:
        """The objectives of one trial, from its scores by benchmark and the tokens that it was trained on."""
        if self.weights:
            return [math.fsum(weight * self.signs[name] * scores[name] for name, weight in self.weights.items())]
        return [-float(tokens) if name == COST else self.signs[name] * scores[name] for name in self.names]

    def parts(self, scores: Mapping[str, float]) -> list[float]:
        """What the one objective is the sum of, by `weights`: a value a benchmark, more is better of each."""
        return [self.signs[name] * scores[name] for name in self.weights]


def make_objectives(search: SearchConfig, benchmarks: BenchmarksConfig) -> Objectives:
    """The objectives that a recipe declares."""
    signs = {name: 1 if of.accuracy.higher_is_better else -1 for name, of in benchmarks.of.items()}
    weights = search.weights(benchmarks.of)
    if search.pareto:
        return Objectives(tuple(search.pareto), {}, signs)
    told = " + ".join(f"{weight:.3g} {name}" for name, weight in weights.items())
    return Objectives((told,), weights, signs)


def read_scores(record: Mapping[str, Any], benchmarks: Mapping[str, Any]) -> dict[str, float]:
    """A trial's accuracy on each benchmark, from its `record.json`.

    Args:
        record: The record.
        benchmarks: Benchmark → its part of `plan.json`.

    Raises:
        TrialError: A benchmark has no score there, or one that is not a number.
    """
    found = {}
    for name, of in benchmarks.items():
        told = of["accuracy"]
        measure = f"{told['metric']},{told['filter']}"
        try:
            value = float(record["scores"][told["task"]][measure])
        except KeyError:
            known = ", ".join(f"{task} {key}" for task, of_task in record["scores"].items() for key in of_task)
            raise TrialError(
                f"benchmark {name} has no score {told['task']} {measure}: the trial has {known}; correct "
                f"benchmarks.of.{name}"
            ) from None
        if not math.isfinite(value):
            raise TrialError(f"benchmark {name} scored {value}: a score must be a finite number; see its items")
        found[name] = value
    return found


def pooled_noise(by_trial: Sequence[Sequence[Sequence[float]]]) -> list[float] | None:
    """The standard deviation from seed to seed of each objective, over all trials together.

    Args:
        by_trial: Trial → seed → objective.

    Returns:
        One number an objective; None where no trial has two seeds.
    """
    several = [seeds for seeds in by_trial if len(seeds) > 1]
    if not several:
        return None
    freedom = sum(len(seeds) - 1 for seeds in several)
    off = np.concatenate([np.array(seeds) - np.mean(seeds, axis=0) for seeds in several])
    found: list[float] = np.sqrt((off**2).sum(axis=0) / freedom).tolist()
    return found


def swamped(names: Sequence[str], by_trial: Sequence[Sequence[Sequence[float]]]) -> list[str]:
    """A sentence for each objective whose noise from seed to seed is as large as what tells the mixtures apart.

    The variance of the mixtures' means holds the noise of a mean too; where nothing is left without it, no search can
    tell a good mixture from a lucky one.
    """
    noise = pooled_noise(by_trial)
    if noise is None or len(by_trial) < 3:
        return []
    found = []
    for place, name in enumerate(names):
        means = [fmean(seed[place] for seed in seeds) for seeds in by_trial]
        of_mean = noise[place] ** 2 * fmean(1 / len(seeds) for seeds in by_trial)
        if variance(means) <= 2 * of_mean and noise[place] > 0:
            found.append(
                f"{name}: mixtures so far differ by a standard deviation of {math.sqrt(variance(means)):.4f}, and "
                f"chance alone makes {math.sqrt(of_mean):.4f}: more seeds (study.seeds) or more items are needed"
            )
    return found
