"""Does a score go one way as the size grows? Page's test over seeds, exact."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import permutations
from math import factorial, prod
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

EXACT_SIZES = 7  # sizes up to which all orders are counted; beyond, the normal approximation


class Trend(NamedTuple):
    """A test of trend.

    Attributes:
        p: Two-sided p-value.
        sign: 1 where scores rise with the size, −1 where they fall, 0 where they do neither.
        smallest: The smallest p-value that so many seeds and sizes can reach.
    """

    p: float
    sign: int
    smallest: float


def page_test(blocks: Sequence[NDArray[np.float64]]) -> Trend:
    """Page's (1963) test for ordered alternatives, two-sided, ties by mid-ranks.

    Each seed is a block whose scores are ranked over the sizes. Where the size does nothing, every order of a seed's
    scores is as likely as any other, whatever their distribution; the p-value is exact under that alone for up to
    `EXACT_SIZES` sizes. A seed may lack sizes: it is ranked over those that it has.

    Args:
        blocks: One a seed: (n_sizes_of_this_seed,) scores, by ascending size.
    """
    from scipy.special import ndtr
    from scipy.stats import rankdata

    # Doubled, so that mid-ranks are whole numbers. Equal scores can differ by the rounding of their means.
    ranks = [np.rint(2 * rankdata(np.round(block, 12))).astype(np.int64) for block in blocks if len(block) > 1]
    weights = [2 * np.arange(1, len(rank) + 1) - len(rank) - 1 for rank in ranks]  # centred, doubled
    statistic = sum(int(weight @ rank) for weight, rank in zip(weights, ranks, strict=True))
    smallest = min(1.0, 2 / prod(factorial(len(rank)) for rank in ranks))
    if max((len(rank) for rank in ranks), default=0) > EXACT_SIZES:
        spread = sum(
            float((weight**2).sum() * ((rank - rank.mean()) ** 2).sum() / (len(rank) - 1))
            for weight, rank in zip(weights, ranks, strict=True)
        )
        p = float(2 * ndtr(-abs(statistic) / spread**0.5)) if spread > 0 else 1.0
        return Trend(p, int(np.sign(statistic)), smallest)
    chances, lowest = np.ones(1), 0
    for weight, rank in zip(weights, ranks, strict=True):
        found = rank[orders(len(rank))] @ weight
        counts = np.bincount(found - found.min())
        chances = np.convolve(chances, counts / counts.sum())
        lowest += int(found.min())
    place = statistic - lowest
    p = float(min(1.0, 2 * min(chances[: place + 1].sum(), chances[place:].sum())))
    return Trend(p, int(np.sign(statistic)), smallest)


@cache
def orders(sizes: int) -> NDArray[np.int64]:
    """(sizes!, sizes) every order of the sizes."""
    return np.array(list(permutations(range(sizes))), dtype=np.int64)
