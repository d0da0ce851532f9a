"""The saturating power law: its profile likelihood over the exponent, and the noise of the runs around it.

The law score(n) = a − b·n^(−c) is fitted as level + slope·x, x = (1 − (n/n₁)^(−c))/c with n₁ the smallest size. For one
exponent c that is a straight line, so that the profile over a grid of exponents needs no search, and c = 0, the
logarithm, is an ordinary point of it. The sign of the slope is free: losses fall by the same law.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from composer.findings.statistics import Items

Array = NDArray[np.float64]
GRID = 240  # exponents
FLATTEST = 0.01  # smallest exponent above 0: over all sizes it differs from the logarithm by a hundredth
STEEPEST = 1e-3  # largest exponent: this is left of the step from the smallest size to the next


@dataclass(frozen=True)
class Interval:
    """An estimate with its interval; an end that the data do not bound is None."""

    value: float | None
    low: float | None
    high: float | None


class Runs(NamedTuple):
    """One run a row.

    Attributes:
        size: (n_runs,) positive sizes.
        seed: (n_runs,) the place of each run's seed, 0, 1, … without gaps.
        score: (n_runs,) mean over items.
    """

    size: Array
    seed: NDArray[np.int64]
    score: Array


class Part(NamedTuple):
    """A variance with its degrees of freedom."""

    variance: float
    df: float


@dataclass(frozen=True)
class Noise:
    """Where the scatter of runs comes from, each as the variance of a score.

    Attributes:
        seed: Mean square of seeds: what a seed does to all its sizes, times the sizes, and `run`.
        run: What is left of one run beside its seed and its size.
        item: The draw of the items, alike at all sizes; 0 where the items are fixed.
        item_size: The draw of the items, own to each size; 0 likewise.
        per_seed: Sizes that a seed has, on average.
        per_size: Seeds that a size has, on average.
    """

    seed: Part
    run: Part
    item: Part
    item_size: Part
    per_seed: float
    per_size: float

    @property
    def shape(self) -> Part:
        """The variance of one run that blurs the curve's shape; what sizes share does not."""
        return total([(1.0, self.run), (self.per_size, self.item_size)])

    def new_run(self) -> list[tuple[float, Part]]:
        """One new run of a new seed around the curve, on other items where they are random."""
        share = 1 / self.per_seed
        return [(share, self.seed), (1 - share, self.run), (1.0, self.item), (1.0, self.item_size)]


def total(terms: Iterable[tuple[float, Part]]) -> Part:
    """The weighted sum of variances, with Satterthwaite's (1946) degrees of freedom."""
    kept = [(weight * part.variance, part.df) for weight, part in terms if weight * part.variance > 0]
    variance = sum(value for value, _ in kept)
    return Part(variance, variance**2 / sum(value**2 / df for value, df in kept) if kept else 1.0)


def noise(runs: Runs, values: Sequence[Array], items: Items) -> Noise:
    """The variance components of runs, by the method of moments.

    Runs are taken to scatter alike at all sizes, after what their seed does to all of them: with two seeds nothing
    finer can be estimated. Where seeds lack sizes the mean square of seeds is approximate.

    Args:
        runs: At least two seeds and two sizes.
        values: One (n_items,) array a run; the same items in all.
        items: Whether the curve is meant on these items, or on items like these.
    """
    _, at = np.unique(runs.size, return_inverse=True)
    sizes, seeds, count = int(at.max()) + 1, int(runs.seed.max()) + 1, len(runs.score)
    per_seed, per_size = count / seeds, count / sizes
    residual, df = additive_residual(runs)
    run = Part(float(residual @ residual) / max(df, 1), max(df, 1))
    of_seed = _means(runs.score - _means(runs.score, at)[at], runs.seed)
    between = float(np.bincount(runs.seed) @ of_seed**2) / (seeds - 1)
    # Seeds cannot scatter less than their runs do; by chance their mean square can.
    seed = Part(max(between, run.variance), seeds - 1)
    none = Part(0.0, 1.0)
    if items == "fixed":
        return Noise(seed, run, none, none, per_seed, per_size)
    table = np.stack(values)
    n_items = table.shape[1]
    means = np.stack([table[at == place].mean(axis=0) for place in range(sizes)])  # (sizes, items)
    left = table - means[at] - (runs.score - _means(runs.score, at)[at])[:, None]
    chance = float((left**2).sum()) / ((count - sizes) * (n_items - 1))
    own = means.mean(axis=0) - means.mean()
    crossed = means - means.mean(axis=1)[:, None] - own[None, :]
    spread = float((own**2).sum()) / (n_items - 1) - chance / count
    crossed_spread = float((crossed**2).sum()) / ((sizes - 1) * (n_items - 1)) - chance / per_size
    item = Part(max(0.0, spread) / n_items, n_items - 1)
    return Noise(seed, run, item, Part(max(0.0, crossed_spread) / n_items, n_items - 1), per_seed, per_size)


def additive_residual(runs: Runs) -> tuple[Array, int]:
    """What seeds and sizes together leave of each run's score, and its degrees of freedom."""
    _, at = np.unique(runs.size, return_inverse=True)
    design = np.hstack([np.eye(runs.seed.max() + 1)[runs.seed], np.eye(at.max() + 1)[at]])
    solved, _, rank, _ = np.linalg.lstsq(design, runs.score, rcond=None)
    return runs.score - design @ solved, len(runs.score) - int(rank)


@dataclass(frozen=True)
class PowerLaw:
    """The profile of the law over exponents; all arrays are (n_exponents,) or have that first.

    Attributes:
        runs: The runs.
        noise: Their noise.
        exponents: The grid, from 0.
        slope: The slope at each exponent.
        x_mean: (n_exponents, n_seeds) mean of x over each seed's runs.
        sxx: Sum of squares of x around its seed's mean.
        excess: Residual sum of squares above the smallest.
        misfit: Smallest residual sum of squares, less that of a free mean for every size.
    """

    runs: Runs
    noise: Noise
    exponents: Array
    slope: Array
    x_mean: Array
    sxx: Array
    excess: Array
    misfit: float

    @property
    def best(self) -> int:
        """The place of the likeliest exponent."""
        return int(np.argmin(self.excess))

    def exponent(self, level: float) -> Interval:
        """The exponent; low is None where the logarithm (0) is within reach, high where a single step is."""
        shape = self.noise.shape
        inside = np.flatnonzero(self.excess <= shape.variance * _t(shape.df, level) ** 2)
        # The ends lie between two points of the grid: the outer one is told.
        low = None if inside[0] == 0 else float(self.exponents[inside[0] - 1])
        high = None if inside[-1] == GRID else float(self.exponents[inside[-1] + 1])
        return Interval(float(self.exponents[self.best]), low, high)

    def p_form(self) -> float | None:
        """The p-value of lack of fit: the size means against the law; None with fewer than four sizes."""
        from scipy.special import fdtrc

        free = len(np.unique(self.runs.size)) - 3
        shape = self.noise.shape
        return float(fdtrc(free, shape.df, max(0.0, self.misfit) / free / shape.variance)) if free > 0 else None

    def curve(self, size: float, level: float) -> Interval:
        """The expected score at a size, over seeds (and items where they are random); inf gives the asymptote."""
        return self._at(size, level, [])

    def coefficient(self) -> float | None:
        """The coefficient at the likeliest exponent; None where that is the logarithm."""
        c = float(self.exponents[self.best])
        return float(self.slope[self.best]) / c * float(self.runs.size.min()) ** c if c else None

    def p_slope(self) -> float:
        """Two-sided p-value of the t test that the slope on the logarithm of the size is 0."""
        from scipy.special import stdtr

        shape = self.noise.shape
        return float(2 * stdtr(shape.df, -abs(self.slope[0]) * (self.sxx[0] / shape.variance) ** 0.5))

    def new_run(self, size: float, level: float) -> Interval:
        """The score of one new run of a new seed at a size."""
        return self._at(size, level, self.noise.new_run())

    def same_seeds(self, size: float, seeds: NDArray[np.int64], level: float) -> Interval:
        """The mean score at a size of runs of these very seeds (places), on the same items."""
        x, ours = self._x(size), self.x_mean[:, seeds]
        own = np.bincount(self.runs.seed)
        level_of = np.array([self.runs.score[self.runs.seed == seed].mean() for seed in seeds])
        centre = level_of.mean() + self.slope * (x - ours.mean(axis=1))
        shape, n = self.noise.shape, len(seeds)
        weight = (x - ours.mean(axis=1)) ** 2 / self.sxx
        # What items do to one size adds to it whole, however many seeds there are.
        run = self.noise.run.variance * (1 / n + float((1 / own[seeds]).sum()) / n**2)
        item = self.noise.item_size.variance * (1 + 1 / self.noise.per_seed)
        return self._within(centre, run + item + shape.variance * weight, shape.df, level)

    def _at(self, size: float, level: float, more: list[tuple[float, Part]]) -> Interval:
        x = self._x(size)
        weights = np.bincount(self.runs.seed) / len(self.runs.score)
        reach = x - self.x_mean @ weights
        terms = [*self._terms(x, self.best), *more]
        fixed = total([*self._terms(x, None), *more]).variance
        with np.errstate(invalid="ignore"):
            variance = fixed + self.noise.shape.variance * reach**2 / self.sxx
            centre = self.runs.score.mean() + self.slope * reach
        if np.isfinite(x[self.best]):
            return self._within(centre, variance, total(terms).df, level)
        return Interval(None, None, None)

    def _terms(self, x: Array, place: int | None) -> list[tuple[float, Part]]:
        """The variances of the curve: that of its level, and at one exponent that of its shape."""
        count = len(self.runs.score)
        level = [(1 / count, self.noise.seed), (1.0, self.noise.item), (1 / self.noise.per_seed, self.noise.item_size)]
        if place is None:
            return level
        weights = np.bincount(self.runs.seed) / count
        reach = (x[place] - self.x_mean[place] @ weights) ** 2 / self.sxx[place]
        return [*level, (float(reach), self.noise.shape)]

    def _within(self, centre: Array, variance: Array, df: float, level: float) -> Interval:
        """The profile interval: the union, over exponents within reach, of what each leaves room for.

        Where an exponent within reach gives no finite value, that side has no end.
        """
        room = _t(df, level) ** 2 - self.excess / self.noise.shape.variance
        kept = (room > 0) & np.isfinite(centre)
        half = np.sqrt(variance[kept] * room[kept])
        low, high = float((centre[kept] - half).min()), float((centre[kept] + half).max())
        endless = not np.isfinite(centre[room > 0]).all()
        up = self.slope[self.best] > 0
        return Interval(float(centre[self.best]), None if endless and not up else low, None if endless and up else high)

    def _x(self, size: float) -> Array:
        return _x(np.array([size]), float(self.runs.size.min()), self.exponents)[:, 0]


def fit(runs: Runs, noise: Noise) -> PowerLaw:
    """The profile likelihood of the law over its exponent, level (of each seed) and slope in closed form.

    The profile of a nonlinear least-squares fit with its noise known from replicates is read against F with one and
    the noise's degrees of freedom (Bates and Watts 1988, chapter 6).

    Args:
        runs: At least three sizes and two seeds.
        noise: Their noise, above 0.
    """
    sizes = np.unique(runs.size)
    smallest = FLATTEST / np.log(sizes[-1] / sizes[0])
    largest = -np.log(STEEPEST) / np.log(sizes[1] / sizes[0])
    exponents = np.concatenate([[0.0], np.geomspace(smallest, largest, GRID)])
    x = _x(runs.size, float(sizes[0]), exponents)
    of_seed = np.eye(runs.seed.max() + 1)[runs.seed]
    x_mean = x @ of_seed / of_seed.sum(axis=0)
    centred = x - x_mean @ of_seed.T
    score = runs.score - _means(runs.score, runs.seed)[runs.seed]
    sxx, sxy = (centred**2).sum(axis=1), centred @ score
    left = float(score @ score) - sxy**2 / sxx
    free, _ = additive_residual(runs)
    misfit = float(left.min() - free @ free)
    return PowerLaw(runs, noise, exponents, sxy / sxx, x_mean, sxx, left - left.min(), misfit)


def _x(size: Array, first: float, exponents: Array) -> Array:
    """(n_exponents, n_sizes) the law's regressor; at 0 the logarithm."""
    log = np.log(size / first)
    c = exponents[1:, None]
    return np.vstack([log[None, :], -np.expm1(-c * log[None, :]) / c])


def _means(score: Array, group: NDArray[np.int64]) -> Array:
    return np.bincount(group, score) / np.bincount(group)


def _t(df: float, level: float) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(df, (1 + level) / 2))
