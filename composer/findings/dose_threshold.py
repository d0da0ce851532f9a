"""The interval of a threshold, and the band of its curve, by the profile likelihood of Hill curves.

Hill curves contain the other candidates: Emax has steepness 1, the line is the limit of high half-doses, and a step
that of high steepness. So their profile keeps every threshold that any candidate would keep, whatever its weight: few
runs let AICc prefer a curve that is too plain, and an interval under that curve alone would be too narrow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from composer.findings.dose_models import STEEPNESS, Array, Grid, hill, slopes
from composer.findings.dose_runs import Ladder, Part, Sums

PROFILE = "profile likelihood of Hill curves, F with 1 and the replicates' degrees of freedom"
BELOW = "below the smallest dose tried"
ABOVE = "not bounded above by the doses tried"


@dataclass(frozen=True)
class Profile:
    """Which curves the runs leave possible.

    Attributes:
        threshold: (n_thresholds,) how far each threshold is within reach, in squared noise; negative if out of it.
        room: (n_curves,) the same of each curve on the grid.
        slope: (n_curves,) its gain, none if it would have the wrong sign.
        norms: (n_curves,) squared norm of its shape.
        taken: Sum of squares that the best of them takes off.
    """

    threshold: Array
    room: Array
    slope: Array
    norms: Array
    taken: float


def reach(noise: Sequence[Part], level: float) -> float:
    """The F quantile with 1 and the noise's degrees of freedom times the noise; the largest over its estimates."""
    from scipy.special import stdtrit

    return max(float(stdtrit(part.df, (1 + level) / 2)) ** 2 * part.variance for part in noise)


def profile(of: Sums, curves: Grid, reach: float, sign: float = 1.0) -> Profile:
    """The profile over curves whose gain has the sign of the effect, or is none (Bates and Watts 1988, chapter 6).

    Args:
        of: The sums of the runs.
        curves: The grid over their doses.
        reach: How much less than the best a curve may take off to be kept (`reach`).
        sign: Of the effect.
    """
    slope, norms, taken = slopes(curves.x, of)
    right = slope * sign > 0
    taken = np.where(right, taken, 0.0)
    of_threshold = _over_steepness(curves, taken)
    return Profile(
        threshold=reach - (of_threshold.max() - of_threshold),
        room=reach - (taken.max() - taken),
        slope=np.where(right, slope, 0.0),
        norms=norms,
        taken=float(of_threshold.max()),
    )


def bounds(found: Profile, curves: Grid, doses: Array) -> tuple[float | None, float | None]:
    """The ends of the threshold's interval.

    Below the second dose, and above the last but one, a steep curve puts its threshold anywhere without changing what
    it says of the doses tried. An end that falls there is not bounded by them, and None.
    """
    kept = np.flatnonzero(found.threshold >= 0)
    # An end lies between two points of the grid: the outer one is told.
    low = curves.thresholds[max(0, kept[0] - 1)]
    high = curves.thresholds[min(len(curves.thresholds) - 1, kept[-1] + 1)]
    return (None if low < doses[1] else float(low)), (None if high > doses[-2] else float(high))


def band(found: Profile, curves: Grid, ladder: Ladder, fraction: float, dose: Array) -> tuple[Array, Array]:
    """(n_doses,) the ends of the interval of the gain over the lowest dose, at each dose by itself."""
    kept = np.flatnonzero(found.room > 0)
    low, full = float(ladder.doses[0]), float(ladder.doses[-1])
    x = hill(dose, curves.thresholds[curves.place[kept]], curves.steepness[kept], fraction, low, full)
    half = np.sqrt(found.room[kept] / found.norms[kept])
    lower, upper = (x * (found.slope[kept] + side * half)[:, None] for side in (-1, 1))
    return lower.min(axis=0), upper.max(axis=0)


def _over_steepness(curves: Grid, taken: Array) -> Array:
    """(n_thresholds,) the most that a curve through each threshold takes off.

    Between points of the grid it is read off a parabola: where runs are many, the best steepness lies between two.
    """
    table = np.full((len(curves.thresholds), len(STEEPNESS)), -np.inf)
    table[curves.place, curves.power] = taken
    row, best = np.arange(len(table)), table.argmax(axis=1)
    inner = np.clip(best, 1, len(STEEPNESS) - 2)
    left, middle, right = table[row, inner - 1], table[row, inner], table[row, inner + 1]
    with np.errstate(invalid="ignore", divide="ignore"):
        rise = (right - left) ** 2 / (8 * (2 * middle - left - right))
    refined: Array = table[row, best] + np.where((inner == best) & np.isfinite(rise), rise, 0.0)
    return refined
