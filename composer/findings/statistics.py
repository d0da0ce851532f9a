"""A gain with its interval, and the correction for several gains. Seeds are the random unit; items are fixed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LEVEL = 0.95
ESTIMAND = "the expected gain over training seeds on these items and this exact mixture"
ONE_SEED = "one seed"
NO_SEED = "no common seed has finished"
NO_VARIANCE = "no variance over seeds"


@dataclass(frozen=True)
class Paired:
    """A paired gain; the fields are those of `results.Gain`."""

    differences: tuple[float, ...]
    arm_mean: float | None
    against_mean: float | None
    gain: float | None
    low: float | None
    high: float | None
    p: float | None
    df: int | None
    reason: str | None
    item_sd: float | None


def paired_gain(arm: NDArray[np.float64], against: NDArray[np.float64], level: float = LEVEL) -> Paired:
    """The gain of `arm` over `against` with its t interval and paired t test over seeds.

    The sample is the mean difference over items of each seed (Student 1908). With one seed, or with no variance over
    seeds, nothing is known of how seeds scatter: the gain is given, interval and p are not.

    Args:
        arm: (n_seeds, n_items) item values, one row a seed.
        against: (n_seeds, n_items) values of the same items and seeds.
        level: Coverage of the interval, in (0, 1).
    """
    seeds, items = arm.shape
    if not seeds:
        return Paired((), None, None, None, None, None, None, None, NO_SEED, None)
    arm_scores, against_scores = arm.mean(axis=1), against.mean(axis=1)
    differences = arm_scores - against_scores
    gain = float(differences.mean())
    item_sd = float((arm - against).mean(axis=0).std(ddof=1)) if items > 1 else None
    low = high = p = df = None
    reason: str | None = ONE_SEED
    if seeds > 1:
        # Equal differences can still differ by the rounding of their two means.
        rounding = 8 * np.finfo(np.float64).eps * max(np.abs(arm_scores).max(), np.abs(against_scores).max())
        reason = NO_VARIANCE if np.ptp(differences) <= rounding else None
    if reason is None:
        from scipy.special import stdtr, stdtrit  # the same numbers as scipy.stats, at a tenth of its import time

        df = seeds - 1
        error = float(differences.std(ddof=1)) / seeds**0.5
        half = float(stdtrit(df, (1 + level) / 2)) * error
        low, high = gain - half, gain + half
        p = float(2 * stdtr(df, -abs(gain) / error))
    return Paired(
        differences=tuple(differences.tolist()),
        arm_mean=float(arm_scores.mean()),
        against_mean=float(against_scores.mean()),
        gain=gain,
        low=low,
        high=high,
        p=p,
        df=df,
        reason=reason,
        item_sd=item_sd,
    )


def holm(p: Sequence[float | None]) -> list[float | None]:
    """Holm's step-down correction (Holm 1979): it bounds the chance of any false finding in the family.

    Args:
        p: (n_hypotheses,) p-values. None counts as 1, so that what could not be tested still counts in the family.

    Returns:
        (n_hypotheses,) corrected p-values, each at least the raw one; None where `p` is.
    """
    order = sorted(range(len(p)), key=lambda place: _or_one(p[place]))
    corrected: list[float | None] = [None] * len(p)
    largest = 0.0
    for rank, place in enumerate(order):
        raw = p[place]
        if raw is not None:
            largest = max(largest, min(1.0, (len(p) - rank) * raw))
            corrected[place] = largest
    return corrected


def _or_one(p: float | None) -> float:
    return 1.0 if p is None else p
