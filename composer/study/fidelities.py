"""Cheaper ways to train a mixture, and how far what they say holds for the way that counts.

What a cheap run says of a benchmark is believed as far as its order of mixtures agrees with the dear one, over the
mixtures that were trained both ways. Some agreement comes by chance, so it is taken at a standard error below what was
measured; where that is not above zero, the cheap runs are not looked at.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from composer.config_search import LEAST_PAIRS as PAIRS
from composer.study.space import Shares


@dataclass(frozen=True, eq=False)
class Cheap:
    """Mixtures that were trained at one fidelity, some of which were trained at the dear one too.

    Attributes:
        fidelity: Its name.
        shares: (n, K) what was trained.
        values: (n, m) on each benchmark, more is better.
        dear: (n, m) the same at the dear fidelity; NaN where a mixture was not trained there.
    """

    fidelity: str
    shares: Shares
    values: Shares
    dear: Shares

    def trust(self) -> Shares:
        """(m,) how far the order of mixtures by each benchmark is believed, in [0, 1)."""
        paired = np.isfinite(self.dear).all(axis=1)
        return np.array([agreement(a, b) for a, b in zip(self.values[paired].T, self.dear[paired].T, strict=True)])

    def objective(self, weights: Sequence[float]) -> tuple[Shares, float]:
        """(n,) the objective as these runs have it, each benchmark by how far it is believed; how far this sum is."""
        total: Shares = self.values @ (self.trust() * np.array(weights))
        paired = np.isfinite(self.dear).all(axis=1)
        return total, agreement(total[paired], self.dear[paired] @ np.array(weights))

    def useful(self, weights: Sequence[float]) -> bool:
        """Whether anything is believed of it."""
        return self.objective(weights)[1] > 0


def agreement(cheap: Shares, dear: Shares) -> float:
    """Spearman's correlation of (n,) scores each, less a standard error (Fisher's z), and at least 0."""
    if len(cheap) < PAIRS or np.ptp(cheap) == 0 or np.ptp(dear) == 0:
        return 0.0
    from scipy.stats import spearmanr

    rank = min(max(float(spearmanr(cheap, dear)[0]), -0.999), 0.999)
    return max(0.0, math.tanh(math.atanh(rank) - 1 / math.sqrt(len(cheap) - 3)))


def hints(cheap: Sequence[Cheap], weights: Sequence[float], asked: Shares) -> Shares:
    """(c, f) what each useful fidelity says of mixtures (c, K), to be learned from beside their shares.

    A column is the objective as that fidelity has it (`Cheap.objective`), as a surrogate of its runs predicts it:
    standardised over those runs, times how far it is believed. So a fidelity that is believed little can say little.

    Args:
        cheap: The fidelities' runs.
        weights: (m,) of the benchmarks in the objective.
        asked: The mixtures.
    """
    from composer.surrogate import Features, Surrogate

    columns = []
    for one in cheap:
        total, holds = one.objective(weights)
        if holds == 0:
            continue
        predicted = Surrogate.fit(Features(one.shares), total).predict(Features(asked)).mean
        columns.append(holds * (predicted - total.mean()) / total.std())
    return np.array(columns).reshape(len(columns), len(asked)).T
