"""How well one feature tells a few rows from many: by the best cut, with the chance that rows at random do as well."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln
from scipy.stats import hypergeom, ksone

Mask = NDArray[np.bool_]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Separation:
    """What separates a step's rows from others.

    Attributes:
        separation: Youden's J at the cut, `inside` − `outside`; below 0 only for a boolean that others have more.
        inside: Share of the step's rows that have the feature, or lie beyond the cut.
        outside: Share of the others, by their weights.
        cut: Of a number: the value of the step's row that is the last beyond it; null of a boolean.
        above: Of a number: whether rows at the cut and above lie beyond it, or at the cut and below; null of a boolean.
        p: The chance that as many rows drawn at random separate as well, with the best cut either way.
    """

    separation: float
    inside: float
    outside: float
    cut: float | None
    above: bool | None
    p: float


def of_booleans(inside: Mask, outside: Mask, weights: Floats) -> Separation:
    """Whether rows have something: `p` is Fisher's exact test, one-sided.

    Args:
        inside: (n,) of the step's rows, at least one.
        outside: (m,) of the others, at least one.
        weights: (m,) of the others, above 0. They count as so many rows as have the same variance with equal weights
            (Kish 1965).
    """
    shares = float(inside.mean()), float(np.average(outside, weights=weights))
    n, m, have = len(inside), _worth(weights), int(inside.sum())
    p = float(hypergeom.sf(have - 1, n + m, have + round(shares[1] * m), n))
    return Separation(shares[0] - shares[1], *shares, None, None, min(p, 1.0))


def of_numbers(inside: Floats, outside: Floats, weights: Floats) -> Separation:
    """How much of something rows have; NaN, which is nothing, lies beyond no cut.

    J at the best cut is the two-sample Kolmogorov–Smirnov distance in its direction. `p` is twice the one-sided
    probability of the one-sample statistic with n·m / (n + m) values, as scipy's `ks_2samp` has it for large samples,
    and never less than what exchangeable rows can reach, 2 / C(n + m, n). Ties make it larger than it need be.

    Args:
        inside: (n,) of the step's rows, at least one.
        outside: (m,) of the others, at least one.
        weights: (m,) as in `of_booleans`.
    """
    low, low_cut = _distance(inside, outside, weights)
    high, high_cut = _distance(-inside, -outside, weights)
    distance, cut, above = (high, -high_cut, True) if high > low else (low, low_cut, False)
    if distance <= 0:
        return Separation(0.0, 0.0, 0.0, None, None, 1.0)
    here, there = (values >= cut if above else values <= cut for values in (inside, outside))
    n, m = len(inside), _worth(weights)
    least = np.exp(gammaln(n + 1) + gammaln(m + 1) - gammaln(n + m + 1))
    one_sided = max(float(ksone.sf(distance, max(1, round(n * m / (n + m))))), float(least))
    shares = float(here.mean()), float(np.average(there, weights=weights))
    return Separation(distance, *shares, cut, above, min(1.0, 2 * one_sided))


def _distance(inside: Floats, outside: Floats, weights: Floats) -> tuple[float, float]:
    """The largest F_inside(cut) − F_outside(cut), at least 0, and the smallest cut that reaches it."""
    cuts = np.unique(inside[~np.isnan(inside)])
    if not len(cuts):
        return 0.0, 0.0
    order = np.argsort(outside)  # NaN comes last
    below = np.concatenate([[0.0], np.cumsum(weights[order])]) / weights.sum()
    of_inside = np.searchsorted(np.sort(inside), cuts, side="right") / len(inside)
    gaps = of_inside - below[np.searchsorted(outside[order], cuts, side="right")]
    best = int(np.argmax(gaps))
    return max(0.0, float(gaps[best])), float(cuts[best])


def _worth(weights: Floats) -> int:
    """How many rows of equal weight rows of these weights are worth."""
    return max(1, round(float(weights.sum() ** 2 / (weights**2).sum())))
