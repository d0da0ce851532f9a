"""How far a surrogate can be trusted: runs that it was not shown, predicted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from composer.surrogate.features import Array, Features
from composer.surrogate.model import Surrogate

FOLDS = 10


@dataclass(frozen=True, eq=False)
class Validation:
    """Predictions of runs by a surrogate of the others.

    Attributes:
        predicted: (n,).
        rank: Spearman's correlation of predicted and measured scores; NaN where either does not vary.
        error: Root mean square error, in the unit of the scores.
        spread: Standard deviation of the scores: what predicting their mean would err by.
    """

    predicted: Array
    rank: float
    error: float
    spread: float


def cross_validate(
    features: Features, scores: Array, noise: Array | None = None, seed: int = 0, folds: int = FOLDS
) -> Validation:
    """Leaves out a fold at a time, and predicts it from the rest.

    Args:
        features: (n,) of the runs, n at least 4.
        scores: (n,) more is better.
        noise: (n,) standard errors, or None.
        seed: Of the folds.
        folds: At most so many, and at most n.

    Raises:
        ValueError: There are fewer than 4 runs.
    """
    from scipy.stats import spearmanr

    runs = len(scores)
    if runs < 4:
        raise ValueError(f"there are {runs} runs: cross-validation takes at least 4")
    order = np.random.default_rng(seed).permutation(runs)
    predicted = np.zeros(runs)
    for out in np.array_split(order, min(folds, runs)):
        kept = np.setdiff1d(order, out)
        fitted = Surrogate.fit(features[kept], scores[kept], None if noise is None else noise[kept])
        predicted[out] = fitted.predict(features[out]).mean
    flat = np.ptp(predicted) == 0 or np.ptp(scores) == 0
    rank = float("nan") if flat else float(spearmanr(predicted, scores)[0])
    error = float(np.sqrt(((predicted - scores) ** 2).mean()))
    return Validation(predicted, rank, error, float(scores.std()))
