"""Adaptive dose finding: which dose next, and when the threshold's interval is narrow enough."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from composer.findings.dose import FRACTION, DoseResponse
from composer.findings.dose_models import Array, grid, hill, slopes
from composer.findings.dose_runs import ItemScores, Ladder, read_ladder, sums
from composer.findings.dose_threshold import reach
from composer.findings.statistics import LEVEL

CURVES = 16  # that stand for all that the runs leave possible
COARSE, EVERY = 64, 2  # thresholds on the grid that looks ahead, and which of the exponents


@dataclass(frozen=True)
class _Outlook:
    """A few curves that stand for all that the runs leave possible.

    Attributes:
        threshold: (n_curves,) where each restores the fraction.
        steepness: (n_curves,) its exponent.
        slope: (n_curves,) its gain.
        level: (n_levels, n_curves) its score at the lowest dose, from each level.
    """

    threshold: Array
    steepness: Array
    slope: Array
    level: Array


def next_dose(
    scores: ItemScores,
    candidates: Iterable[float],
    fraction: float = FRACTION,
    level: float = LEVEL,
    higher_is_better: bool = True,
) -> float | None:
    """The dose that is expected to narrow the threshold's interval most, if every seed seen so far runs it.

    For each candidate the interval is computed that its runs would leave if they fell on the curve, and its width, in
    log dose, is averaged over curves that stand for what the runs so far leave possible.

    Args:
        scores: Dose → seed → the run's (n_items,) item scores.
        candidates: Doses that may be tried. Those that were, and those outside the doses so far, are passed over.
        fraction: The part of the full-dose gain that the threshold restores.
        level: Coverage of the interval.
        higher_is_better: Whether a gain is a rise.

    Returns:
        The dose, the lowest of equals; None where no candidate is left, or where nothing tells how runs scatter, so
        that no interval can come of it.

    Raises:
        FindingsError: The scores do not pair or are not finite.
    """
    ladder = read_ladder(scores)
    tried = ladder.doses.tolist()
    left = [dose for dose in sorted(set(map(float, candidates))) if tried[0] < dose < tried[-1] and dose not in tried]
    if not left or not ladder.noise:
        return None
    outlook = _outlook(ladder, fraction, 1.0 if higher_is_better else -1.0)
    lowest = tried[0] or min(left[0], tried[1])  # the logarithm needs an end above 0
    widths = [_expected_width(ladder, outlook, dose, fraction, level, lowest) for dose in left]
    return left[int(np.argmin(np.round(widths, 9)))]


def narrow_enough(found: DoseResponse, factor: float) -> bool:
    """Whether the ends of the threshold's interval differ by at most this factor.

    The threshold cannot lie above the full dose, nor below the lowest: they stand in for an end that is not bounded.

    Args:
        found: What the runs so far say.
        factor: Above 1; 2 asks for the threshold to within a doubling.
    """
    if found.threshold is None:
        return False
    low = found.points[0].dose if found.threshold.low is None else found.threshold.low
    high = found.points[-1].dose if found.threshold.high is None else found.threshold.high
    return low > 0 and high <= factor * low


def _outlook(ladder: Ladder, fraction: float, sign: float) -> _Outlook:
    """Curves at even steps through the likelihood over the grid, thresholds in order, the noise integrated out."""
    curves = grid(tuple(ladder.doses.tolist()), fraction)
    slope, _, taken = slopes(curves.x, sums(ladder.at, ladder.levels, ladder.score))
    slope, taken = (np.where(slope * sign > 0, of, 0.0) for of in (slope, taken))
    df = ladder.replicates.df
    likely = (1 + (taken.max() - taken) / (ladder.variance * df)) ** (-(df + 1) / 2)
    share = np.cumsum(likely)
    chosen = np.searchsorted(share, (np.arange(CURVES) + 0.5) / CURVES * share[-1])
    of_level = np.eye(int(ladder.levels.max()) + 1)[ladder.levels]
    of_level = of_level / of_level.sum(axis=0)
    expected = curves.x[chosen][:, ladder.at] * slope[chosen, None]
    return _Outlook(
        threshold=curves.thresholds[curves.place[chosen]],
        steepness=curves.steepness[chosen],
        slope=slope[chosen],
        level=of_level.T @ (ladder.score[:, None] - expected.T),
    )


def _expected_width(
    ladder: Ladder, outlook: _Outlook, dose: float, fraction: float, level: float, lowest: float
) -> float:
    """The width, in log dose, of the interval after a run of every seed at `dose`; the mean over the outlook."""
    doses = np.sort(np.append(ladder.doses, dose))
    at, levels, scores = _with_runs(ladder, outlook, dose, fraction)
    indicator, of_level = np.eye(len(doses))[at], np.eye(int(levels.max()) + 1)[levels]
    centred = indicator - of_level @ (of_level.T @ indicator / of_level.sum(axis=0)[:, None])
    curves = grid(tuple(doses.tolist()), fraction, COARSE, EVERY)
    norms = ((curves.x @ (centred.T @ centred)) * curves.x).sum(axis=1)
    # The gain keeps its sign: where a curve of these shapes would turn it, it takes nothing off.
    products = curves.x @ (centred.T @ scores)
    taken = np.where(products * outlook.slope >= 0, products, 0.0) ** 2 / norms[:, None]
    first = np.flatnonzero(np.diff(curves.place, prepend=-1))
    best = np.maximum.reduceat(taken, first, axis=0)
    replicates = ladder.replicates._replace(df=ladder.replicates.df + len(ladder.seeds) - 1)
    kept = best.max(axis=0) - best <= reach((replicates, *ladder.noise[1:]), level)
    threshold = curves.thresholds[curves.place[first]]
    low, high = threshold[kept.argmax(axis=0)], threshold[::-1][kept[::-1].argmax(axis=0)]
    low, high = np.where(low < doses[1], lowest, low), np.where(high >= doses[-2], doses[-1], high)
    return float(np.log(high / low).mean())


def _with_runs(
    ladder: Ladder, outlook: _Outlook, dose: float, fraction: float
) -> tuple[NDArray[np.int64], NDArray[np.int64], Array]:
    """Places of the doses, levels and (n_runs, n_curves) scores, with a run of every seed at `dose` on the curves."""
    place, seeds = int(np.searchsorted(ladder.doses, dose)), np.arange(len(ladder.seeds))
    levels = seeds if ladder.paired else np.zeros_like(seeds)
    ends = float(ladder.doses[0]), float(ladder.doses[-1])
    x = hill(np.array([dose]), outlook.threshold, outlook.steepness, fraction, *ends)[:, 0]
    return (
        np.append(ladder.at + (ladder.at >= place), np.full(len(seeds), place)),
        np.append(ladder.levels, levels),
        np.vstack([np.tile(ladder.score[:, None], CURVES), outlook.level[levels] + outlook.slope * x]),
    )
