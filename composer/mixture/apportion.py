"""Sainte-Laguë apportionment: whole seats in proportion to weights, exactly, and never fewer when there are more seats.

The method is A. Sainte-Laguë, "La représentation proportionnelle et la méthode des moindres carrés", 1910, and the
same as D. Webster's of 1832: each next seat goes to the greatest `weight / (2 * seats held + 1)`. It is a divisor
method, hence house-monotone: M. L. Balinski and H. P. Young, "Fair Representation", 1982.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from fractions import Fraction


def apportion(seats: int, weights: Sequence[int | float | Fraction], caps: Sequence[int] | None = None) -> list[int]:
    """Apportions `seats` over `weights`; of equal claims to a seat, the smaller index wins.

    Weights count at their exact value, a float at the binary fraction that it is; no comparison is rounded. The work
    does not grow with `seats`: a divisor settles all but the last few, those go one by one.

    Args:
        seats: How many, at least 0.
        weights: Finite, at least 0, of any sum; a weight of 0 gets no seat.
        caps: The most seats each may hold. One that is full is passed over, the others go on.

    Returns:
        The seats of each weight; they sum to `seats`.

    Raises:
        ValueError: A number is out of range, or the caps of the positive weights sum to less than `seats`.
    """
    whole = _whole(weights)
    if seats < 0:
        raise ValueError(f"seats is {seats}: it must be at least 0")
    limits = [seats] * len(whole) if caps is None else [min(cap, seats) for cap in caps]
    if len(limits) != len(whole) or min(limits, default=0) < 0:
        raise ValueError(f"caps must be {len(whole)} numbers of at least 0")
    room = sum(limit for limit, weight in zip(limits, whole, strict=True) if weight)
    if room < seats:
        raise ValueError(f"seats is {seats}: weights above 0 have room for only {room}")
    held = _settled(seats, whole, limits)
    claims = [
        (-Fraction(weight, 2 * held[place] + 1), place)
        for place, weight in enumerate(whole)
        if weight and held[place] < limits[place]
    ]
    heapq.heapify(claims)
    for _ in range(seats - sum(held)):
        _, place = claims[0]
        held[place] += 1
        if held[place] < limits[place]:
            heapq.heapreplace(claims, (-Fraction(whole[place], 2 * held[place] + 1), place))
        else:
            heapq.heappop(claims)
    return held


def _whole(weights: Sequence[int | float | Fraction]) -> list[int]:
    """Integers in exactly the ratio of `weights`."""
    for place, weight in enumerate(weights):
        if not (math.isfinite(weight) and weight >= 0):
            raise ValueError(f"weights[{place}] is {weight}: it must be a finite number of at least 0")
    ratios = [weight.as_integer_ratio() for weight in weights]
    common = math.lcm(*(denominator for _, denominator in ratios))
    return [numerator * (common // denominator) for numerator, denominator in ratios]


def _settled(seats: int, weights: Sequence[int], limits: Sequence[int]) -> list[int]:
    """Seats that are certainly won, all but at most one or so for each weight.

    With the divisor `total / (seats - n / 2)` rounding each weight's quotient hands out at most `seats`, as rounding
    adds at most 1/2 to each of the `n` quotients; and what a divisor hands out, the greatest claims hand out too.
    Those that reach their limit here reach it under every smaller divisor, so they are set aside and the divisor is
    found anew for the rest.
    """
    held = [0] * len(weights)
    racing = [place for place, weight in enumerate(weights) if weight]
    while racing:
        total = sum(weights[place] for place in racing)
        twice = 2 * (seats - sum(held)) - len(racing)
        if twice <= 0:
            return held
        won = {place: (weights[place] * twice + total) // (2 * total) for place in racing}
        full = {place for place in racing if won[place] >= limits[place]}
        if not full:
            for place in racing:
                held[place] = won[place]
            return held
        for place in full:
            held[place] = limits[place]
        racing = [place for place in racing if place not in full]
    return held
