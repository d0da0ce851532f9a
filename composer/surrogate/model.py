"""The surrogate: a few Gaussian processes that differ in how bold they are, weighed by how well runs speak for each."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from composer.surrogate.features import Array, Features, Parts
from composer.surrogate.gaussian import Gaussian, by_benchmark, fit
from composer.surrogate.law import POWER, LogLinearLaw
from composer.surrogate.warp import Warp

# Hyperparameters are fitted and not integrated over, which makes the evidence too sure: it counts by its root.
TEMPER = 0.5
MOST = 64  # runs that hyperparameters are fitted to when a proposal waits for them; all are learned from
FEW = 1e-3  # a process of less weight is left out


@dataclass(frozen=True, eq=False)
class Prediction:
    """Scores of mixtures, without a trial's noise.

    Attributes:
        mean: (c,) medians, which are the means where no ceiling bends the scale.
        low: (c,) lower ends of intervals.
        high: (c,) upper ends.
    """

    mean: Array
    low: Array
    high: Array


@dataclass(frozen=True, eq=False)
class Surrogate:
    """Processes with weights that sum to 1, and the runs that they were fitted to, for the mixing law.

    Attributes:
        processes: From the one that knows the least of bends to the one that knows the most. Where the benchmarks are
            known each models them by themselves, else there is one more, on a scale that has a ceiling.
        weights: How well the runs speak for each.
        shares: (n, K) of the runs.
        scores: (n,).
    """

    processes: tuple[Gaussian, ...]
    weights: Array
    shares: Array
    scores: Array

    @staticmethod
    def fit(
        features: Features, scores: Array, noise: Array | None = None, most: int | None = None,
        parts: Parts | None = None,
    ) -> Surrogate:  # fmt: skip
        """Fits all processes.

        Args:
            features: (n,) of the runs, n at least 2.
            scores: (n,) finite, more is better.
            noise: (n,) standard errors of the scores, or None where they are not known.
            most: The number of runs that hyperparameters are fitted to; None for all.
            parts: The benchmarks that the scores are made of, where they are known.

        Raises:
            ValueError: There are fewer than 2 runs, or a score is not finite.
        """
        scores = np.asarray(scores, dtype=float)
        if len(scores) < 2 or not np.isfinite(scores).all():
            raise ValueError(f"{len(scores)} scores, finite: {np.isfinite(scores).all()}: give at least 2, all finite")
        chosen = _spread(scores, most)
        some, few, fuzz = features[chosen], scores[chosen], None if noise is None else noise[chosen]
        frame = features.frame()
        plain = Warp(np.inf, float(few.mean()), float(few.std()) or 1.0)
        smooth = fit("smooth", some, few, plain, frame, fuzz)
        linear = fit("linear", some, few, plain, frame, fuzz)
        fitted = [linear, smooth]
        if parts is not None and len(parts.weights) > 1:
            fitted = [by_benchmark(one, some, parts[chosen]) for one in fitted]
        else:
            bent = fit("smooth", some, few, smooth.rewarped(some, few), frame, fuzz, smooth)
            # A ceiling that a run outside the subset lies above cannot be.
            if scores.max() < bent.warp.ceiling:
                fitted.append(bent)
        evidence = TEMPER * np.array([one.evidence for one in fitted])
        weights = np.exp(evidence - evidence.max())
        weights /= weights.sum()
        kept = np.flatnonzero(weights >= FEW)
        processes = [fitted[place] for place in kept]
        if len(chosen) < len(scores):
            processes = [one.conditioned(features, scores, noise, parts) for one in processes]
        return Surrogate(tuple(processes), weights[kept] / weights[kept].sum(), features.shares, scores)

    @cached_property
    def laws(self) -> tuple[LogLinearLaw, ...]:
        """The mixing law of the same runs, as published and with diminishing returns."""
        return tuple(LogLinearLaw.fit(self.shares, self.scores, power) for power in (1.0, POWER))

    @property
    def best(self) -> Gaussian:
        """The process that the runs speak for the most."""
        return self.processes[int(np.argmax(self.weights))]

    def predict(self, features: Features, level: float = 0.95) -> Prediction:
        """Scores of mixtures, with intervals at `level`."""
        told = [(one.warp, *one.predict(features)) for one in self.processes]
        ends = (0.5, (1 - level) / 2, (1 + level) / 2)
        return Prediction(*(self._quantile(told, part) for part in ends))

    def transferred(self, features: Features) -> Array:
        """(c,) standardised scores of mixtures at another scale than the runs': only their order means anything.

        A process follows every bend of the scale that it was fitted at, laws know of none; their mean carries over
        better than each.
        """
        laws = np.mean([_standard(law.predict(features.shares)) for law in self.laws], axis=0)
        mean: Array = (_standard(self.predict(features).mean) + laws) / 2
        return mean

    def _quantile(self, told: list[tuple[Warp, Array, Array]], part: float) -> Array:
        """Of the weighted mixture of the processes' distributions, by bisection between its members' quantiles."""
        from scipy.stats import norm

        of_each = np.array([warp.back(mean + sd * norm.ppf(part)) for warp, mean, sd in told])
        low, high = of_each.min(axis=0), of_each.max(axis=0)
        for _ in range(60 if len(told) > 1 else 0):
            middle = (low + high) / 2
            below = sum(
                weight * norm.cdf((warp(middle) - mean) / sd)
                for weight, (warp, mean, sd) in zip(self.weights, told, strict=True)
            )
            low, high = np.where(below < part, middle, low), np.where(below < part, high, middle)
        found: Array = (low + high) / 2
        return found


def _spread(scores: Array, most: int | None) -> NDArray[np.int64]:
    """Places of at most `most` runs: the best third of them, the rest evenly over the ranks."""
    if most is None or len(scores) <= most:
        return np.arange(len(scores))
    ranked = np.argsort(-scores, kind="stable")
    top = most // 3
    others = ranked[top:][np.linspace(0, len(ranked) - top - 1, most - top).round().astype(int)]
    return np.sort(np.concatenate([ranked[:top], others]))


def _standard(values: Array) -> Array:
    standard: Array = (values - values.mean()) / (values.std() or 1.0)
    return standard
