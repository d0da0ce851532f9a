"""Which arms are worth their cost: the front of score and training tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from composer.findings.results import Results


@dataclass(frozen=True)
class Point:
    """One arm with what it scores and costs.

    Attributes:
        arm: The arm's name.
        tokens: Tokens that one trial of it is trained on.
        score: Mean accuracy over seeds; over all benchmarks, each weighing the same, or on one.
        sd: Standard deviation of that over seeds; None with one seed.
        on_front: Whether no other arm scores at least as much for at most as many tokens, one of them strictly. The
            front is of the means: it does not say that a difference is more than noise.
    """

    arm: str
    tokens: float
    score: float
    sd: float | None
    on_front: bool


def front(results: Results, benchmark: str | None = None) -> tuple[Point, ...]:
    """Every arm that has finished seeds, in the order of the results.

    Args:
        results: What was found.
        benchmark: A benchmark's name; None for the mean over all of them.
    """
    import numpy as np

    names = [one.name for one in results.benchmarks] if benchmark is None else [benchmark]
    found = []
    for arm in results.arms:
        values = np.mean([results.score(arm.name, name, "accuracy").values for name in names], axis=0)
        if len(values):
            sd = float(values.std(ddof=1)) if len(values) > 1 else None
            found.append((arm.name, float(arm.tokens), float(values.mean()), sd))
    places = [(tokens, score) for _, tokens, score, _ in found]
    return tuple(Point(*one, not _beaten((one[1], one[2]), places)) for one in found)


def _beaten(point: tuple[float, float], by: Sequence[tuple[float, float]]) -> bool:
    tokens, score = point
    return any(t <= tokens and s >= score and (t, s) != (tokens, score) for t, s in by)
