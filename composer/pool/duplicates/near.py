"""Rows that nearly say the same: MinHash by Rensa, locality-sensitive hashing over bands of it.

A. Broder, "On the resemblance and containment of documents", 1997. Shingles are runs of characters without white space:
Korean is spaced in many ways.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from composer.pool.duplicates.same import Places
from composer.pool.hashes import GOLDEN, Hashes, mix

Signatures = NDArray[np.uint32]
Bytes = NDArray[np.uint8]


class Rows(Protocol):
    """Signatures, or some of their bytes, of which rows are taken."""

    dtype: np.dtype[Any]

    def __getitem__(self, places: Places, /) -> NDArray[Any]:
        """(k, PERMUTATIONS) those at `places`."""


SHINGLE = 5  # characters
PERMUTATIONS = 126
BANDS = 21  # of 6: at a Jaccard similarity of 0.8 all but one pair in 600 share a band
LEADERS = 16  # rows of a band's bucket, the best of rank, that all others in it are compared with
PAIRS = 1 << 18  # that are compared at once
SEED = 0


def signatures(texts: pa.StringArray, size: int = SHINGLE) -> Signatures:
    """(n, PERMUTATIONS) MinHash signatures of texts; two rows agree in as many places as their shingles are alike."""
    from rensa import RMinHash

    hashes, offsets = shingles(texts, size)
    matrix = RMinHash.digest_matrix_from_flat_token_hashes(hashes, offsets, num_perm=PERMUTATIONS, seed=SEED)
    return np.array(matrix.to_rows(), dtype=np.uint32).reshape(len(texts), PERMUTATIONS)


def shingles(texts: pa.StringArray, size: int = SHINGLE) -> tuple[Hashes, Hashes]:
    """Hashes of every run of `size` characters, text after text, and (n + 1,) where each text's begin.

    A text of fewer characters is one shingle, an empty one none.
    """
    bare = pc.replace_substring_regex(texts, r"\s+", "")
    lengths = np.asarray(pc.utf8_length(bare)).astype(np.int64)
    between = "\0" * size
    joined = between.join([*bare.to_pylist(), ""])
    codes = np.frombuffer(joined.encode("utf-32-le"), dtype=np.uint32).astype(np.uint64)
    counts = np.where(lengths > 0, np.maximum(lengths - size + 1, 1), 0)
    offsets = np.concatenate([[0], np.cumsum(counts)])
    starts = np.concatenate([[0], np.cumsum(lengths + size)])[:-1]
    places = np.arange(offsets[-1]) + np.repeat(starts - offsets[:-1], counts)
    hashes = np.zeros(len(places), dtype=np.uint64)
    for step in range(size):
        hashes = mix(hashes * GOLDEN + codes[places + step])
    return hashes, offsets.astype(np.uint64)


def band_keys(told: Signatures) -> list[Hashes]:
    """BANDS times (n,): rows that share a band's key may be alike."""
    width = told.shape[1] // BANDS
    return [_keys(told, band * width, (band + 1) * width) for band in range(BANDS)]


def near(bands: Iterable[Hashes], told: Signatures | Bytes | Rows, rank: Places, threshold: float = 0.75) -> Places:
    """Which row each row nearly repeats.

    In the order of rank a row is kept unless one that is kept is as like it as `threshold`, so that a chain of rows,
    each like the next, is not taken for one group.

    Args:
        bands: What `band_keys` gave, one at a time.
        told: (n, PERMUTATIONS) signatures, or the low byte of each, which agree by chance once in 256 places.
        rank: (n,) distinct; the lowest is kept first.
        threshold: The least Jaccard similarity of two rows' shingles, by their signatures, at which one is dropped.

    Returns:
        (n,) the place of the row that is kept in its stead; -1 for those that are kept.
    """
    better, worse = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    chance = 1 / 256 if told.dtype == np.uint8 else 0.0
    for keys in bands:
        for one, other in _candidates(keys, rank):
            agree = (told[one] == told[other]).mean(axis=1)
            alike = (agree - chance) / (1 - chance) >= threshold
            better.append(one[alike])
            worse.append(other[alike])
    return _resolved(np.concatenate(better), np.concatenate(worse), rank)


def _resolved(better: Places, worse: Places, rank: Places) -> Places:
    """Keeps rows in the order of rank, of two that are alike never both."""
    found = np.full(len(rank), -1)
    for place in np.lexsort((rank[better], rank[worse])):
        if found[better[place]] < 0 and found[worse[place]] < 0:
            found[worse[place]] = better[place]
    return found


def _candidates(keys: Hashes, rank: Places) -> list[tuple[Places, Places]]:
    """Pairs (better, worse by rank) of rows that share a key, some at once."""
    order = np.lexsort((rank, keys))
    ordered = keys[order]
    begins = (
        np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]])) if len(keys) else np.zeros(0, np.int64)
    )
    sizes = np.diff(np.append(begins, len(keys)))
    found = []
    for leader in range(LEADERS):
        buckets = np.flatnonzero(sizes > leader + 1)
        others = sizes[buckets] - leader - 1
        first = np.repeat(begins[buckets] + leader, others)
        behind = np.arange(others.sum()) - np.repeat(np.cumsum(others) - others, others)
        pairs = order[first], order[first + 1 + behind]
        found += [(pairs[0][at : at + PAIRS], pairs[1][at : at + PAIRS]) for at in range(0, len(first), PAIRS)]
    return found


def _keys(told: Signatures, start: int, end: int) -> Hashes:
    """(n,) a hash of some columns of the signatures."""
    keys = np.zeros(len(told), dtype=np.uint64)
    for column in range(start, end):
        keys = mix(keys * GOLDEN + told[:, column].astype(np.uint64))
    return keys
