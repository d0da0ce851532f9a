"""The order of rows: by a seeded hash of the id, the same whatever else is in the pool."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from composer.pool.hashes import GOLDEN, mix, standings
from composer.pool.index import Index

BLOCK_BITS = np.uint64(8)


def rank_keys(hashes: NDArray[np.uint64], seed: int) -> NDArray[np.uint64]:
    """Each row's key, by which a stratum's rows are ranked; equal only where the hashes are.

    A pool's rows lie in the order of seed 0. Another seed shuffles 256 blocks of that order, and begins elsewhere in
    each. So seeds give all but unrelated orders, and yet the first rows of each lie in few runs, read at once.
    """
    stands = standings(hashes)
    if seed == 0:
        return stands
    width = np.uint64(64) - BLOCK_BITS
    state: NDArray[np.uint64] = mix(np.array([seed], np.uint64) * GOLDEN)
    steps: NDArray[np.uint64] = np.arange(1, 2 ** int(BLOCK_BITS) + 1, dtype=np.uint64)
    draws = mix(state + steps * GOLDEN)
    place = np.empty(len(draws), np.uint64)
    place[np.argsort(draws, kind="stable")] = np.arange(len(draws), dtype=np.uint64)
    within = (stands - state) & ((np.uint64(1) << width) - np.uint64(1))
    shuffled: NDArray[np.uint64] = (place[stands >> width] << width) | within
    return shuffled


def export_keys(rank: NDArray[np.uint64], copies: NDArray[np.int64]) -> NDArray[np.uint64]:
    """The key that places a row in the export: draw number `copies` of a splitmix64 generator in the state `rank`.

    It must not be `rank` itself: a scarcely sampled stratum holds only small ranks, and would come first.
    """
    return mix(rank + (copies.astype(np.uint64) + np.uint64(1)) * GOLDEN)


class Ranking:
    """The rows of each stratum in the order in which mixtures of one seed take them.

    Attributes:
        index: The pool's index.
        seed: The mixture's seed.
        sizes: Rows of each stratum, by its place in `index.strata`.
    """

    def __init__(self, index: Index, seed: int) -> None:
        """Groups the rows of `index` by stratum; they are ranked only when asked for."""
        self.index = index
        self.seed = seed
        sizes = np.bincount(index.stratum, minlength=len(index.strata))
        self.sizes: list[int] = sizes.tolist()
        self._ends = np.cumsum(sizes)
        # Sixteen bits sort by radix, in linear time.
        places = index.stratum.astype(np.uint16) if len(sizes) < 2**16 else index.stratum
        self._grouped = np.argsort(places, kind="stable")

    def rows(self, stratum: int) -> NDArray[np.int64]:
        """The positions of a stratum's rows, in the pool's order."""
        end = self._ends[stratum]
        return self._grouped[end - self.sizes[stratum] : end]

    def first(self, stratum: int, n: int) -> NDArray[np.int64]:
        """The positions of a stratum's first `n` rows by rank, in that order; fewer where it has fewer."""
        rows = self.rows(stratum)
        if n <= 0:
            return rows[:0]
        keys = rank_keys(self.index.hash[rows], self.seed)
        if n < len(rows):
            # Rows that tie with the n-th stay in until the sort has settled them.
            chosen = keys <= np.partition(keys, n - 1)[n - 1]
            rows, keys = rows[chosen], keys[chosen]
        return rows[sort_by_key(keys, rows, self.index)[:n]]


def sort_by_key(keys: NDArray[np.uint64], rows: NDArray[np.int64], index: Index) -> NDArray[np.int64]:
    """The order that sorts `keys`; equal keys go by the ids of `rows`, equal ids (copies) as they come."""
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    if (ordered[1:] == ordered[:-1]).any():
        ids = index.ids.take(rows).to_pylist()
        order = np.array(sorted(range(len(keys)), key=lambda row: (keys[row], ids[row])), dtype=np.int64)
    return order


def token_sums(index: Index, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """(n + 1,) the tokens of the first 0, 1, …, n of `rows`."""
    return np.concatenate([[0], np.cumsum(index.n_tokens[rows], dtype=np.int64)])
