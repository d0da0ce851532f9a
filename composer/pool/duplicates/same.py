"""Rows that share a key."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Places = NDArray[np.int64]


def same(keys: NDArray[np.uint64], rank: Places) -> Places:
    """Which row each row repeats.

    Args:
        keys: (n,) equal for rows that say the same.
        rank: (n,) distinct; of rows that say the same that of the lowest is kept.

    Returns:
        (n,) the place of the row that is kept in its stead; -1 for those that are kept.
    """
    order = np.lexsort((rank, keys))
    ordered = keys[order]
    begins = np.ones(len(keys), dtype=bool)
    begins[1:] = ordered[1:] != ordered[:-1]
    kept = order[np.flatnonzero(begins)][np.cumsum(begins) - 1]
    found = np.empty(len(keys), dtype=np.int64)
    found[order] = np.where(begins, -1, kept)
    return found
