"""Candidate curves of a dose-response, and their comparison by AICc.

Every curve is level + gain·x(dose), with x rising from 0 at the lowest dose to 1 at the full one, so that it is linear
but for its shape. A Hill curve's shape is set by its steepness and by the threshold itself, the dose at which x is the
declared fraction: the profile of the threshold is then read off a grid, without a search.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from composer.findings.dose_runs import Ladder, Sums

Array = NDArray[np.float64]
Name = Literal["flat", "linear", "emax", "hill"]
NAMES: tuple[Name, ...] = ("flat", "linear", "emax", "hill")
SHAPES: dict[Name, int] = {"flat": 0, "linear": 1, "emax": 2, "hill": 3}  # parameters beside levels and noise

STEEPNESS = 2.0 ** (np.arange(-12, 33) / 8)  # Hill exponents; 1 is Emax, the last nearly a step
THRESHOLDS = 200  # on a log scale, from a quarter of the lowest step to the full dose


@dataclass(frozen=True)
class Grid:
    """Hill curves on a grid, of which those with steepness 1 are Emax curves.

    Attributes:
        thresholds: (n_thresholds,) ascending doses at which a curve restores the fraction.
        x: (n_curves, n_doses) shapes at the doses; curves go by threshold, then by steepness.
        place: (n_curves,) each curve's place in `thresholds`.
        power: (n_curves,) the place of its exponent in `STEEPNESS`.
    """

    thresholds: Array
    x: Array
    place: NDArray[np.int64]
    power: NDArray[np.int64]

    @property
    def steepness(self) -> Array:
        """(n_curves,) each curve's exponent."""
        return STEEPNESS[self.power]


@dataclass(frozen=True)
class Candidate:
    """One candidate curve, fitted by least squares.

    Attributes:
        name: `flat`, `linear`, `emax` or `hill`.
        parameters: How many it has, the levels and the noise counted.
        aicc: Akaike's criterion with its small-sample correction (Hurvich and Tsai 1989); None where there are too
            few runs for so many parameters.
        weight: Akaike weight among the candidates, in [0, 1].
        gain: Fitted score at the full dose minus that at the lowest.
        threshold: The dose at which it restores the fraction; None where it is flat.
        steepness: Its Hill exponent; None where it has none.
    """

    name: Name
    parameters: int
    aicc: float | None
    weight: float
    gain: float
    threshold: float | None
    steepness: float | None


def hill(dose: Array, threshold: Array, steepness: Array, fraction: float, low: float, full: float) -> Array:
    """(n_curves, n_doses) shapes of Hill curves through (low, 0), (threshold, fraction) and (full, 1); NaN if none.

    Args:
        dose: (n_doses,) where to read the curves.
        threshold: (n_curves,) doses between `low` and `full`.
        steepness: (n_curves,) exponents.
        fraction: The part of the gain that is reached at the threshold.
        low: The lowest dose.
        full: The full dose.
    """
    power = steepness[:, None]
    at, first, middle = (dose[None, :] / full) ** power, (low / full) ** power, (threshold[:, None] / full) ** power
    # With doses in units of the full one, x = (1 + e)(at − first) / ((1 − first)(at + e)) for a half-dose e ≥ 0.
    above, below = (middle - first) - fraction * (1 - first) * middle, fraction * (1 - first) - (middle - first)
    with np.errstate(divide="ignore", invalid="ignore"):
        e = above / below
        x = (1 + e) * (at - first) / ((1 - first) * (at + e))
    return np.where((above > 0) & (below > 0), x, np.nan)


@lru_cache(maxsize=64)
def grid(doses: tuple[float, ...], fraction: float, size: int = THRESHOLDS, every: int = 1) -> Grid:
    """The Hill curves over these doses.

    Args:
        doses: At least two, ascending.
        fraction: In (0, 1).
        size: Thresholds on the grid.
        every: Takes every so manyth exponent.
    """
    low, first, full = doses[0], doses[1], doses[-1]
    lowest = first / 4 if low == 0 else (low * low * low * first) ** 0.25
    thresholds = np.unique(np.append(np.geomspace(lowest, full, size + 1)[:-1], doses[1:-1]))
    powers = np.arange(0, len(STEEPNESS), every)
    place, power = np.repeat(np.arange(len(thresholds)), len(powers)), np.tile(powers, len(thresholds))
    x = hill(np.array(doses), thresholds[place], STEEPNESS[power], fraction, low, full)
    kept = np.isfinite(x).all(axis=1)
    return Grid(thresholds, x[kept], place[kept], power[kept])


def slopes(x: Array, of: Sums) -> tuple[Array, Array, Array]:
    """(n_curves,) slopes of the shapes, their squared norms, and the sums of squares that they take off."""
    products, norms = x @ of.q, ((x @ of.c) * x).sum(axis=1)
    return products / norms, norms, products**2 / norms


def candidates(ladder: Ladder, of: Sums, curves: Grid, fraction: float) -> tuple[Candidate, ...]:
    """The four candidates with their weights, in the order of `NAMES`."""
    low, full = float(ladder.doses[0]), float(ladder.doses[-1])
    line = (ladder.doses - low)[None, :] / (full - low)
    slope, _, taken = slopes(np.vstack([line, curves.x]), of)
    emax = np.where(curves.steepness == 1, taken[1:], -np.inf)
    best = {"linear": 0, "emax": 1 + int(np.argmax(emax)), "hill": 1 + int(np.argmax(taken[1:]))}
    levels = int(ladder.levels.max()) + 1
    found = []
    for name in NAMES:
        place = best.get(name)
        curve = None if place is None or place == 0 else place - 1
        parameters = levels + SHAPES[name] + 1
        left = of.total - (0.0 if place is None else float(taken[place]))
        found.append(
            Candidate(
                name=name,
                parameters=parameters,
                aicc=_aicc(left, len(ladder.score), parameters),
                weight=0.0,
                gain=0.0 if place is None else float(slope[place]),
                threshold=_threshold(name, curve, curves, low + fraction * (full - low)),
                steepness=None if curve is None else float(curves.steepness[curve]),
            )
        )
    return _weighted(found)


def averaged_gain(dose: Array, found: tuple[Candidate, ...], fraction: float, low: float, full: float) -> Array:
    """(n_doses,) the gain over the lowest dose, as the weighted mean of the candidates."""
    total = np.zeros(len(dose))
    for one in found:
        if one.threshold is None:
            continue
        if one.steepness is None:
            x = (dose - low) / (full - low)
        else:
            x = hill(dose, np.array([one.threshold]), np.array([one.steepness]), fraction, low, full)[0]
        total += one.weight * one.gain * x
    return total


def _threshold(name: Name, curve: int | None, curves: Grid, of_line: float) -> float | None:
    if name == "flat":
        return None
    return of_line if curve is None else float(curves.thresholds[curves.place[curve]])


def _aicc(left: float, runs: int, parameters: int) -> float | None:
    spare = runs - parameters - 1
    if spare <= 0 or left <= 0:
        return None
    return float(runs * np.log(left / runs) + 2 * parameters + 2 * parameters * (parameters + 1) / spare)


def _weighted(found: list[Candidate]) -> tuple[Candidate, ...]:
    known = [one.aicc for one in found if one.aicc is not None]
    if not known:
        return tuple(found)
    likely = [0.0 if one.aicc is None else float(np.exp((min(known) - one.aicc) / 2)) for one in found]
    return tuple(
        Candidate(**{**vars(one), "weight": weight / sum(likely)}) for one, weight in zip(found, likely, strict=True)
    )
