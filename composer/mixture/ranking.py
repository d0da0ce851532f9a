"""The order of rows: by a seeded hash of the id, the same whatever else is in the pool."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from composer.pool.hashes import GOLDEN, mix
from composer.pool.index import Index

BLOCK_BITS = np.uint64(8)
WIDTH = np.uint64(64) - BLOCK_BITS
WITHIN = (np.uint64(1) << WIDTH) - np.uint64(1)


def rank_keys(stands: NDArray[np.uint64], seed: int) -> NDArray[np.uint64]:
    """Each row's key, by which a stratum's rows are ranked, from where they stand; equal only where they stand alike.

    A pool's rows lie in the order of seed 0. Another seed shuffles 256 blocks of that order, and begins elsewhere in
    each. So seeds give all but unrelated orders, and yet the first rows of each lie in few runs, read at once.
    """
    if seed == 0:
        return stands
    blocks, begin = _shuffled(seed)
    place = np.empty(len(blocks), np.uint64)
    place[blocks] = np.arange(len(blocks), dtype=np.uint64)
    keys: NDArray[np.uint64] = (place[stands >> WIDTH] << WIDTH) | ((stands - begin) & WITHIN)
    return keys


def _shuffled(seed: int) -> tuple[NDArray[np.int64], np.uint64]:
    """The blocks in the order of a seed, and where within each it begins."""
    state: NDArray[np.uint64] = mix(np.array([seed], np.uint64) * GOLDEN)
    steps: NDArray[np.uint64] = np.arange(1, 2 ** int(BLOCK_BITS) + 1, dtype=np.uint64)
    return np.argsort(mix(state + steps * GOLDEN), kind="stable"), state[0] & WITHIN


def _runs(seed: int) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Where the runs begin into which a seed cuts the order of rows, and these in the seed's order."""
    if seed == 0:
        return np.zeros(1, np.uint64), np.zeros(1, np.int64)
    blocks, begin = _shuffled(seed)
    starts = np.arange(len(blocks), dtype=np.uint64) << WIDTH
    # Of each block what lies behind its beginning comes first, then what lies before it.
    return np.stack([starts, starts + begin], axis=1).ravel(), np.stack([2 * blocks + 1, 2 * blocks], axis=1).ravel()


def export_keys(rank: NDArray[np.uint64], copies: NDArray[np.int64]) -> NDArray[np.uint64]:
    """The key that places a row in the export: draw number `copies` of a splitmix64 generator in the state `rank`.

    It must not be `rank` itself: a scarcely sampled stratum holds only small ranks, and would come first.
    """
    return mix(rank + (copies.astype(np.uint64) + np.uint64(1)) * GOLDEN)


class Ranking:
    """The rows of each stratum in the order in which mixtures of one seed take them.

    Attributes:
        index: The pool's index.
        sizes: Rows of each stratum, by its place in `index.strata`.
    """

    def __init__(self, index: Index, seed: int) -> None:
        """Looks at no row yet."""
        self.index = index
        self.sizes = index.sizes
        self._starts, self._order = _runs(seed)

    def first(self, stratum: int, n: int) -> NDArray[np.int64]:
        """The positions of a stratum's first `n` rows by rank, in that order; fewer where it has fewer.

        The rows lie in the order of seed 0: those of another one are its runs, one after the other.
        """
        rows = self.index.rows(stratum)
        starts = rows.start + np.searchsorted(self.index.stands[rows], self._starts)
        lengths = np.diff(starts, append=rows.stop)[self._order]
        ends = np.cumsum(lengths)
        some = slice(np.searchsorted(ends, n) + 1)
        lengths, ends = lengths[some], ends[some]
        return (np.repeat(starts[self._order][some] - ends + lengths, lengths) + np.arange(lengths.sum()))[: max(n, 0)]


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
