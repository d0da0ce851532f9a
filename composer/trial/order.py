"""The order in which a trial reads its rows: a function of the rows, the seed and the epoch, known without running.

Rows are ordered by a hash of their id, mixed with seed and epoch, so that rows which two arms share come in the same
relative order in both. Where rows are padded, those of like length are put together within a window of batches.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

WINDOW = 16  # batches


def batches(
    hashes: NDArray[np.uint64], lengths: Sequence[int] | None, batch_size: int, epochs: int, seed: int
) -> Iterator[list[int]]:
    """The batches of all epochs, each a list of row positions; every row stands once an epoch.

    Args:
        hashes: (n_rows,) a hash of each row's id.
        lengths: (n_rows,) tokens, for rows of like length to share a batch; None: they need not.
        batch_size: rows a batch; the last of an epoch may be smaller.
        epochs: how often each row is read.
        seed: the trial's seed.
    """
    for epoch in range(epochs):
        rng = np.random.default_rng([seed, epoch])
        order = np.argsort(_mixed(hashes, rng.integers(2**64, dtype=np.uint64)), kind="stable").tolist()
        for start in range(0, len(order), WINDOW * batch_size):
            window = order[start : start + WINDOW * batch_size]
            if lengths is not None:
                window.sort(key=lengths.__getitem__)
            cut = [window[at : at + batch_size] for at in range(0, len(window), batch_size)]
            yield from cut if lengths is None else (cut[place] for place in rng.permutation(len(cut)))


def _mixed(hashes: NDArray[np.uint64], salt: np.uint64) -> NDArray[np.uint64]:
    """The finaliser of splitmix64 (Steele, Lea & Flood 2014) over hash xor salt."""
    x = hashes ^ salt
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
