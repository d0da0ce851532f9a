"""What a surrogate sees of a trial."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Features:
    """Mixtures, and the settings beside them.

    Attributes:
        shares: (n, K), at least 0, rows sum to 1.
        others: (n, e) settings in [0, 1]; none where only the mixture varies.
    """

    shares: Array
    others: Array = field(default_factory=lambda: np.zeros((0, 0)))

    def __post_init__(self) -> None:
        """Gives a mixture without settings an empty row of them."""
        if len(self.others) != len(self.shares):
            if self.others.size:
                raise ValueError(f"others has {len(self.others)} rows: it must have {len(self.shares)}, as shares has")
            object.__setattr__(self, "others", np.zeros((len(self.shares), 0)))

    def __len__(self) -> int:
        """The number of mixtures."""
        return len(self.shares)

    def __getitem__(self, places: Sequence[int] | NDArray[np.int64]) -> Features:
        """Those at `places`."""
        return Features(self.shares[places], self.others[places])

    def and_those(self, others: Features) -> Features:
        """These, then others."""
        return Features(np.vstack([self.shares, others.shares]), np.vstack([self.others, others.others]))

    def frame(self) -> Frame:
        """Where these lie, and how far apart."""
        flat = np.hstack([self.shares, self.others])
        centre = flat.mean(axis=0)
        spread = np.sqrt(self.shares).sum(axis=1)
        return Frame(
            centre, float(np.sqrt(((flat - centre) ** 2).sum(axis=1).mean())) or 1.0,
            float(spread.mean()), float(spread.std()) or 1.0,
        )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Frame:
    """The place and the spread of some features, so that others can be put on the same scale.

    Attributes:
        centre: (K + e,).
        scale: Root mean square distance from it.
        evenness: Mean of the sum of the roots of the shares, which is the greater the more evenly they are spread.
        deviation: Its standard deviation.
    """

    centre: Array
    scale: float
    evenness: float
    deviation: float

    def __call__(self, features: Features) -> Array:
        """(n, 2 (K + e) + 1): shares and settings on a common scale; roots and settings as they are; sums of the roots.

        In the roots the first rows of a category count for more than the last. Their sum, standardised, is how well
        a mixture does where all categories have such returns and none is better than another.
        """
        flat = np.hstack([features.shares, features.others])
        rooted = np.hstack([np.sqrt(np.maximum(features.shares, 0)), features.others])
        even = (rooted[:, : features.shares.shape[1]].sum(axis=1) - self.evenness) / self.deviation
        return np.hstack([(flat - self.centre) / self.scale, rooted, even[:, None]])


@dataclass(frozen=True, eq=False)
class Parts:
    """The benchmarks whose weighted sum is a score.

    Attributes:
        values: (n, m) of n runs on m benchmarks, more is better.
        weights: (m,) the score is `values @ weights`.
        noise: (n, m) standard errors of `values`, or None.
    """

    values: Array
    weights: Array
    noise: Array | None = None

    def __getitem__(self, places: Sequence[int] | NDArray[np.int64]) -> Parts:
        """Those of the runs at `places`."""
        return Parts(self.values[places], self.weights, None if self.noise is None else self.noise[places])
