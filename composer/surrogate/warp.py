"""Scores on a scale where they grow without bound: the logarithm of what is missing to a ceiling.

Mixing laws (J. Ye et al., "Data Mixing Laws", 2024) say loss = floor + exp(linear in shares). On this scale such a law
is linear, and an improvement counts by the part of the missing that it makes up.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from composer.surrogate.features import Array


@dataclass(frozen=True)
class Warp:
    """A strictly rising map of scores to standardised ones.

    Attributes:
        ceiling: What scores stay below; infinite for a map that only standardises.
        mean: Of the mapped scores, before they are standardised.
        sd: Their standard deviation.
    """

    ceiling: float
    mean: float
    sd: float

    @staticmethod
    def of(scores: Array, gap: float) -> Warp:
        """The map with a ceiling of `gap` standard deviations above the best of `scores` (n,)."""
        spread = float(scores.std()) or 1.0
        ceiling = float(scores.max()) + gap * spread
        mapped = Warp(ceiling, 0.0, 1.0)(scores)
        return Warp(ceiling, float(mapped.mean()), float(mapped.std()) or 1.0)

    def __call__(self, scores: Array) -> Array:
        """Standardised scores; those at or above the ceiling are infinite."""
        if np.isinf(self.ceiling):
            return (scores - self.mean) / self.sd
        with np.errstate(divide="ignore", invalid="ignore"):
            missing = np.where(scores < self.ceiling, -np.log(self.ceiling - scores), np.inf)
        mapped: Array = (missing - self.mean) / self.sd
        return mapped

    def back(self, mapped: Array) -> Array:
        """The scores of standardised ones."""
        plain = mapped * self.sd + self.mean
        if np.isinf(self.ceiling):
            return plain
        scores: Array = self.ceiling - np.exp(-np.clip(plain, -700, 700))
        return scores

    def slope(self, scores: Array) -> Array:
        """How fast the map rises at `scores`, which are below the ceiling: small errors are multiplied by it."""
        if np.isinf(self.ceiling):
            return np.full_like(scores, 1 / self.sd)
        rise: Array = 1 / (self.ceiling - scores) / self.sd
        return rise
