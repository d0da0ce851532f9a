"""The log-linear mixing law: what is missing to a ceiling falls by a constant factor for each bit of a category.

J. Ye et al., "Data Mixing Laws: Optimizing Data Mixtures by Predicting Language Modeling Performance", 2024. Shares
enter by a power below 1, as each further row of a category says less than the one before.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from composer.surrogate.features import Array

POWER = 0.7
RIDGE = 0.02  # on the standardised scale: it settles what few runs leave open
GAPS = (0.1, 0.5, 1.5, 4.0)  # from where the fit starts, in standard deviations above the best score
FAR = 30.0


@dataclass(frozen=True, eq=False)
class LogLinearLaw:
    """score = ceiling - exp(intercept + slopes · (features - centre)/scale).

    Attributes:
        ceiling: In the unit of the scores.
        intercept: Of the logarithm of what is missing.
        slopes: (K,) below 0 where more of a category is better.
        centre: (K,) mean features of the runs.
        scale: The spread of the features over the runs.
        power: Of the shares.
    """

    ceiling: float
    intercept: float
    slopes: Array
    centre: Array
    scale: float
    power: float

    @staticmethod
    def fit(shares: Array, scores: Array, power: float = POWER) -> LogLinearLaw:
        """Least squares from several starts.

        Args:
            shares: (n, K).
            scores: (n,) more is better.
            power: Of the shares; 1 is the law as published.
        """
        from scipy.optimize import least_squares

        features = shares**power
        centre = features.mean(axis=0)
        scale = float(np.sqrt(((features - centre) ** 2).sum(axis=1).mean())) or 1.0
        x = (features - centre) / scale
        spread = float(scores.std()) or 1.0
        y = (scores.max() - scores) / spread  # what is missing to the best run
        runs, size = x.shape

        def missing(of: Array) -> Array:
            law: Array = np.exp(np.clip(of[1] + x @ of[2:], -FAR, FAR))
            return law

        def off(of: Array) -> Array:
            return np.concatenate([missing(of) - np.exp(of[0]) - y, RIDGE * of[2:], RIDGE * of[:1]])

        def slope(of: Array) -> Array:
            law = missing(of)
            found = np.zeros((runs + size + 1, size + 2))
            found[:runs, 0] = -np.exp(of[0])
            found[:runs, 1] = law
            found[:runs, 2:] = law[:, None] * x
            found[runs : runs + size, 2:] = RIDGE * np.eye(size)
            found[-1, 0] = RIDGE
            return found

        best = None
        design = np.hstack([np.ones((runs, 1)), x])
        for gap in GAPS:
            start = np.linalg.solve(design.T @ design + 1e-2 * np.eye(size + 1), design.T @ np.log(y + gap))
            found = least_squares(off, np.concatenate([[np.log(gap)], start]), jac=slope, max_nfev=200)
            if best is None or found.cost < best.cost:
                best = found
        assert best is not None
        ceiling = float(scores.max()) + spread * float(np.exp(best.x[0]))
        intercept = float(best.x[1] + np.log(spread))
        return LogLinearLaw(ceiling, intercept, best.x[2:], centre, scale, power)

    def predict(self, shares: Array) -> Array:
        """(c,) scores of mixtures (c, K)."""
        logs = self.intercept + (shares**self.power - self.centre) / self.scale @ self.slopes
        scores: Array = self.ceiling - np.exp(np.clip(logs, -700, 700))
        return scores
