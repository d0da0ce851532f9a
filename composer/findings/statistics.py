"""A gain with its interval, tests and variance, and the corrections for several gains. Seeds are the random unit."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Items = Literal["fixed", "random"]

LEVEL = 0.95
ESTIMANDS: dict[Items, str] = {
    "fixed": "the expected gain over training seeds on these items and this exact mixture",
    "random": "the expected gain over training seeds on items like these and this exact mixture",
}
ONE_SEED = "one seed"
NO_SEED = "no common seed has finished"
NO_VARIANCE = "no variance over seeds"
ONE_ITEM = "one item"


@dataclass(frozen=True)
class McNemar:
    """One seed's exact test that both arms answer equally many items.

    Attributes:
        gained: Items that the arm answers and the other does not.
        lost: Items that the other answers and the arm does not.
        p: Two-sided p-value (McNemar 1947, by the binomial).
    """

    gained: int
    lost: int
    p: float


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
    p_equivalent: float | None
    df: float | None
    reason: str | None
    seed_sd: float | None
    item_sd: float | None
    residual_sd: float | None
    mcnemar: tuple[McNemar, ...] | None


def paired_gain(
    arm: NDArray[np.float64],
    against: NDArray[np.float64],
    level: float = LEVEL,
    items: Items = "fixed",
    margin: float | None = None,
) -> Paired:
    """The gain of `arm` over `against` with its interval, tests and variance components.

    On fixed items the sample is the mean difference over items of each seed, and the interval is Student's (1908). On
    random items seeds and items are crossed random factors, and what items add beyond the scatter of seeds is a second
    part of the variance (`half_width`). With one seed, or with no
    variance over seeds, nothing is known of how seeds scatter: the gain is given, interval and p are not.

    Args:
        arm: (n_seeds, n_items) item values, one row a seed.
        against: (n_seeds, n_items) values of the same items and seeds.
        level: Coverage of the interval, in (0, 1).
        items: Whether the gain is meant on these items, or on items like these.
        margin: The largest gain, either way, that counts as none; None where no equivalence is tested. The test is
            that of two one-sided tests (Schuirmann 1987).
    """
    seeds, n_items = arm.shape
    if not seeds:
        return Paired((), None, None, None, None, None, None, None, None, NO_SEED, None, None, None, None)
    arm_scores, against_scores = arm.mean(axis=1), against.mean(axis=1)
    differences = arm_scores - against_scores
    gain = float(differences.mean())
    # Equal differences can still differ by the rounding of their two means.
    rounding = 8 * np.finfo(np.float64).eps * max(np.abs(arm_scores).max(), np.abs(against_scores).max())
    reason = ONE_SEED if seeds == 1 else NO_VARIANCE if np.ptp(differences) <= rounding else None
    if reason is None and items == "random" and n_items == 1:
        reason = ONE_ITEM
    squares = _mean_squares(arm - against) if seeds > 1 and n_items > 1 else None
    low = high = p = p_equivalent = df = None
    if reason is None:
        df = float(seeds - 1)
        parts = [(float(differences.var(ddof=1)) / seeds, df)]
        if items == "random" and squares is not None:
            _, of_items, residual = squares
            parts.append((max(0.0, of_items - residual) / (seeds * n_items), float(n_items - 1)))
        half = half_width(parts, (1 - level) / 2)
        low, high = gain - half, gain + half
        p = 2 * _tail(parts, abs(gain))
        p_equivalent = None if margin is None else _tail(parts, margin - abs(gain))
    return Paired(
        differences=tuple(differences.tolist()),
        arm_mean=float(arm_scores.mean()),
        against_mean=float(against_scores.mean()),
        gain=gain,
        low=low,
        high=high,
        p=p,
        p_equivalent=p_equivalent,
        df=df,
        reason=reason,
        **_components(squares, seeds, n_items),
        mcnemar=_mcnemar(arm, against),
    )


def _mean_squares(difference: NDArray[np.float64]) -> tuple[float, float, float]:
    """The mean squares of seeds, of items and of residuals of (n_seeds, n_items) differences."""
    seeds, items = difference.shape
    grand = difference.mean()
    of_seed, of_item = difference.mean(axis=1) - grand, difference.mean(axis=0) - grand
    residual = difference - grand - of_seed[:, None] - of_item[None, :]
    return (
        float(items * (of_seed**2).sum() / (seeds - 1)),
        float(seeds * (of_item**2).sum() / (items - 1)),
        float((residual**2).sum() / ((seeds - 1) * (items - 1))),
    )


def half_width(parts: Sequence[tuple[Any, float]], tail: float) -> Any:
    """Half the width of an interval around a mean whose variance is a sum of independent estimates.

    The squares of the half widths that each part would have alone are added (Howe 1974; Graybill and Wang 1980 for
    variances): exact where one part is all there is, and no narrower than each. Satterthwaite's degrees of freedom, the
    usual way, fall short with two seeds: by chance their part comes out small, and the many items then vouch for it.

    Args:
        parts: (variance of the mean, degrees of freedom) of each part; variances may be arrays.
        tail: The chance outside, on one side, in (0, 0.5].
    """
    from scipy.special import stdtrit  # the same numbers as scipy.stats, at a tenth of its import time

    return sum(variance * float(stdtrit(df, tail)) ** 2 for variance, df in parts) ** 0.5


def _tail(parts: Sequence[tuple[float, float]], distance: float) -> float:
    """The chance `tail` at which `half_width` is `distance`: a one-sided p-value; above a half for one below 0."""
    from scipy.special import stdtr

    if distance < 0:
        return 1 - _tail(parts, -distance)
    if len(parts) == 1:
        (variance, df) = parts[0]
        return float(stdtr(df, -distance / variance**0.5))
    from scipy.optimize import brentq

    # On the logit scale, so that small chances are found as closely as large ones.
    def excess(logit: float) -> float:
        return float(half_width(parts, 1 / (1 + math.exp(logit)))) - distance

    furthest = 60.0  # a chance of 1e-26: no smaller one is told
    return 1 / (1 + math.exp(brentq(excess, 0.0, furthest, xtol=1e-12) if excess(furthest) > 0 else furthest))


def _components(squares: tuple[float, float, float] | None, seeds: int, items: int) -> dict[str, float | None]:
    """Standard deviations of the seed, item and residual parts of a difference, by the method of moments."""
    if squares is None:
        return dict.fromkeys(("seed_sd", "item_sd", "residual_sd"))
    seed, item, residual = squares
    return {
        "seed_sd": (max(0.0, seed - residual) / items) ** 0.5,
        "item_sd": (max(0.0, item - residual) / seeds) ** 0.5,
        "residual_sd": residual**0.5,
    }


def _mcnemar(arm: NDArray[np.float64], against: NDArray[np.float64]) -> tuple[McNemar, ...] | None:
    """Each seed's exact test, where every item is right or wrong."""
    if not (np.isin(arm, (0.0, 1.0)).all() and np.isin(against, (0.0, 1.0)).all()):
        return None
    from scipy.special import bdtr

    tests = []
    for ours, theirs in zip(arm, against, strict=True):
        gained, lost = int((ours > theirs).sum()), int((ours < theirs).sum())
        fewer, all_ = min(gained, lost), gained + lost
        tests.append(McNemar(gained, lost, min(1.0, 2 * float(bdtr(fewer, all_, 0.5))) if all_ else 1.0))
    return tuple(tests)


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


def benjamini_hochberg(p: Sequence[float | None]) -> list[float | None]:
    """The step-up correction of Benjamini and Hochberg (1995): it bounds the expected share of false findings.

    Args:
        p: (n_hypotheses,) p-values. None counts as 1, as in `holm`.

    Returns:
        (n_hypotheses,) corrected p-values, each at least the raw one; None where `p` is.
    """
    order = sorted(range(len(p)), key=lambda place: _or_one(p[place]), reverse=True)
    corrected: list[float | None] = [None] * len(p)
    smallest = 1.0
    for above, place in enumerate(order):
        # The factor first: it is 1 for the largest, which rounding of a product and a quotient would change.
        smallest = min(smallest, _or_one(p[place]) * (len(p) / (len(p) - above)))
        if p[place] is not None:
            corrected[place] = smallest
    return corrected


Correction = Literal["holm", "benjamini_hochberg"]
CORRECTIONS: Mapping[Correction, Callable[[Sequence[float | None]], list[float | None]]] = {
    "holm": holm,
    "benjamini_hochberg": benjamini_hochberg,
}


def _or_one(p: float | None) -> float:
    return 1.0 if p is None else p
