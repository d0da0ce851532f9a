"""One run's item values, checked before anything is computed from them; and when scores count as equal."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from composer.errors import FindingsError


def item_values(where: str, values: ArrayLike, n_items: int | None = None) -> NDArray[np.float64]:
    """(n_items,) finite values.

    Args:
        where: Names the run in messages.
        values: One value an item.
        n_items: How many there must be; None for any number above 0.

    Raises:
        FindingsError: They are not a row of finite numbers, or not so many.
    """
    checked = np.asarray(values, dtype=np.float64)
    if checked.ndim != 1 or not checked.size:
        raise FindingsError(f"{where}: item values of shape {checked.shape}: give one value an item, at least one")
    bad = np.flatnonzero(~np.isfinite(checked))
    if bad.size:
        raise FindingsError(
            f"{where}: item {bad[0]} has the value {checked[bad[0]]}, which is not a finite number: mend the metric "
            "and run the trial again"
        )
    if n_items is not None and checked.size != n_items:
        raise FindingsError(
            f"{where}: {checked.size} items where the first run has {n_items}: evaluate all runs on the same items"
        )
    return checked


def rounding(score: NDArray[np.float64]) -> float:
    """How far scores that are equal can differ by the rounding of their means."""
    return float(16 * np.finfo(np.float64).eps * np.abs(score).max())
