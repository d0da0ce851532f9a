"""Adaptive dose finding: which dose next, and when the threshold's interval is narrow enough."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from composer.findings.dose import FRACTION, DoseResponse
from composer.findings.dose_models import grid, hill, slopes
from composer.findings.dose_runs import ItemScores, Ladder, read_ladder, sums
from composer.findings.statistics import LEVEL

CURVES = 16  # that stand for all that the runs leave possible
COARSE = 64  # thresholds on the grid that looks ahead


def next_dose(
    scores: ItemScores,
    candidates: Iterable[float],
    fraction: float = FRACTION,
    level: float = LEVEL,
    higher_is_better: bool = True,
) -> float | None:
    """The dose that is expected to narrow the threshold's interval most, run with the seeds seen so far.

    For each candidate the interval is computed that its runs would leave, if they fell on the curve, and averaged
    over curves that stand for what the runs so far leave possible. Widths are those of the logarithm of the dose.

    Args:
        scores: Dose → seed → the run's (n_items,) item scores.
        candidates: Doses that may be tried. Those that were, and those outside the doses so far, are passed over.
        fraction: The part of the full-dose gain that the threshold restores.
        level: Coverage of the interval.
        higher_is_better: Whether a gain is a rise.

    Returns:
        The dose; None where no candidate is left, or no seed repeats a dose, so that no interval can come of it.

    Raises:
        FindingsError: The scores do not pair or are not finite.
    """
    ladder = read_ladder(scores)
    tried = set(ladder.doses.tolist())
    left = [dose for dose in sorted(set(map(float, candidates))) if min(tried) < dose < max(tried) and dose not in tried]
    if not left or not ladder.df or ladder.variance == 0:
        return None
    sign = 1.0 if higher_is_better else -1.0
    floor = min([*left, *(dose for dose in tried if dose > 0)])
    widths = [_expected_width(ladder, dose, fraction, level, sign, floor) for dose in left]
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


def _expected_width(
    ladder: Ladder, dose: float, fraction: float, level: float, sign: float, floor: float
) -> float:
    """The expected width, in log dose, of the interval after a run of every seed at `dose`."""
    from scipy.special import stdtrit

    at, levels, scores = _with_runs(ladder, dose, fraction, sign)
    doses = np.sort(np.append(ladder.doses, dose))
    curves = grid(tuple(doses.tolist()), fraction, COARSE)
    indicator, level_of = np.eye(len(doses))[at], np.eye(int(levels.max()) + 1)[levels]
    count = level_of.sum(axis=0)[:, None]
    centred = indicator - level_of @ (level_of.T @ indicator / count)
    q = centred.T @ scores
    norms = ((curves.x @ (centred.T @ centred)) * curves.x).sum(axis=1)
    taken = np.maximum(sign * (curves.x @ q), 0) ** 2 / norms[:, None]
    first = np.flatnonzero(np.diff(curves.place, prepend=-1))
    best = np.maximum.reduceat(taken, first, axis=0)
    df = ladder.df + len(ladder.seeds) - 1
    kept = best.max(axis=0) - best <= float(stdtrit(df, (1 + level) / 2)) ** 2 * ladder.variance
    known = curves.thresholds[curves.place[first]]
    low = known[kept.argmax(axis=0)]
    high = known[len(known) - 1 - kept[::-1].argmax(axis=0)]
    low = np.where(low < doses[1], max(floor, doses[0]), low)
    high = np.where(high >= doses[-2], doses[-1], high)
    return float(np.log(high / low).mean())


def _with_runs(ladder: Ladder, dose: float, fraction: float, sign: float):
    place = int(np.searchsorted(ladder.doses, dose))
    seeds = np.arange(len(ladder.seeds))
    at = np.append(ladder.at + (ladder.at >= place), np.full(len(seeds), place))
    levels = ladder.levels
    new_levels = seeds if ladder.paired else np.zeros_like(seeds)
    of = sums(ladder.at, levels, ladder.score)
    curves = grid(tuple(ladder.doses.tolist()), fraction)
    slope, norms, taken = slopes(curves.x, of)
    right = slope * sign > 0
    taken = np.where(right, taken, 0.0)
    slope = np.where(right, slope, 0.0)
    weight = (1 + (taken.max() - taken) / (ladder.variance * ladder.df)) ** (-(ladder.df + 1) / 2)
    share = np.cumsum(weight) / weight.sum()
    chosen = np.searchsorted(share, (np.arange(CURVES) + 0.5) / CURVES)
    count = np.bincount(levels)
    mean = np.bincount(levels, ladder.score) / count
    x_mean = np.stack([np.bincount(levels, curves.x[c][ladder.at]) / count for c in chosen])  # K, L
    x_new = hill(np.array([dose]), curves.thresholds[curves.place[chosen]], curves.steepness[chosen], fraction, float(ladder.doses[0]), float(ladder.doses[-1]))[:, 0]
    predicted = mean[new_levels][:, None] + (slope[chosen] * (x_new[:, None] - x_mean[:, new_levels]).T)
    scores = np.vstack([np.repeat(ladder.score[:, None], CURVES, 1), predicted])
    return at, np.append(levels, new_levels), scores
