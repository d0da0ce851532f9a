"""The best of several noisy means: how far it must be ahead, and how much too high it is."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SPREADS = 200  # of the noise's estimate, at as many quantiles
REACH = 9.0  # standard normals beyond it do not matter


def selection_quantile(arms: int, df: float, level: float) -> float:
    """How far behind the highest mean an arm must be, to be ruled out as the best of all.

    In units of the estimated standard error of a difference. The arms whose means are no farther behind hold the best
    one with a probability of at least `level`, wherever the true values lie (S. S. Gupta, "On some multiple decision
    (selection and ranking) rules", 1965). It is also the one-sided critical value of Dunnett (1955) for differences
    from one arm, so a lead that exceeds it is more than the luck of having picked the highest of all.

    Args:
        arms: Independent means of the same variance.
        df: Degrees of freedom of that variance's estimate.
        level: The probability, in (0, 1).
    """
    from scipy.special import chdtri, ndtr

    if arms < 2:
        return 0.0
    normal, weight = _normal()
    # `chdtri` counts from above, which makes no difference to evenly spread quantiles.
    spread = np.sqrt(chdtri(df, (np.arange(SPREADS) + 0.5) / SPREADS) / df)

    def held(width: float) -> float:
        others = ndtr(normal + 2**0.5 * width * spread[:, None]) ** (arms - 1)
        return float((others @ weight).mean())

    low, high = 0.0, 1.0
    while held(high) < level:
        low, high = high, 2 * high
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if held(middle) < level else (low, middle)
    return high


def expected_maximum(arms: int) -> float:
    """The expected highest of `arms` independent standard normals.

    The noise of the arm that was picked is at most the highest noise of all: times their standard deviation, this
    bounds how much too high its mean is on average.
    """
    from scipy.special import ndtr

    normal, weight = _normal()
    return float(arms * (normal * ndtr(normal) ** (arms - 1)) @ weight)


def _normal() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A grid of a standard normal and the probability at each point."""
    points = np.linspace(-REACH, REACH, 241)
    density = np.exp(-(points**2) / 2)
    return points, density / density.sum()
