"""Rows that give a benchmark's items away: how much of an item stands in a row, whatever the spacing.

Word n-grams, as T. Brown et al. ("Language Models are Few-Shot Learners", 2020) used them, miss short items and Korean,
which is spaced in many ways. Here an item is taken apart into its question and its options, and each into runs of
characters; the share of these that stands in a row tells. A question that many items share ("which is right?") is
little of an item with its options, and so is an option by itself.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from composer.pool.duplicates.near import shingles
from composer.pool.hashes import Hashes

RUN = 8  # characters: about three words of Korean
LEAST = 4  # characters of an item that is shorter than RUN; of fewer nothing can be said
SIEVE = 1 << 22
MARKS = r"[\s\p{P}]+"


@dataclass(frozen=True)
class Item:
    """One item of a benchmark.

    Attributes:
        benchmark: Its benchmark's name.
        id: Of the item within it.
        parts: The question, and each option if there are some.
    """

    benchmark: str
    id: str
    parts: tuple[str, ...]


class Found(NamedTuple):
    """A row in which an item stands: both by place, and how much of the item does, from 0 to 1."""

    row: int
    item: int
    share: float


class Contamination:
    """The items of benchmarks, ready to be looked for in rows."""

    def __init__(self, items: Sequence[Item], threshold: float = 0.7) -> None:
        """Of items, of which `threshold` must stand in a row for it to be told."""
        self.items, self.threshold = items, threshold
        told = bare(pa.array([part for item in items for part in item.parts], pa.string())).to_pylist()
        ends = np.cumsum([0, *(len(item.parts) for item in items)])
        self._parts = [[part for part in told[start:end] if part] for start, end in itertools.pairwise(ends)]
        #: Places of items of which nothing can be said, being too short.
        self.too_short = [place for place, parts in enumerate(self._parts) if sum(map(len, parts)) < LEAST]
        self._by_size = {size: _Lookup(texts, size) for size, texts in self._sized().items()}

    def find(self, texts: pa.StringArray) -> list[Found]:
        """For each of some texts (n,) in which an item stands, that of which the most does."""
        stripped, best = bare(texts), dict[int, Found]()
        for lookup in self._by_size.values():
            for row, item in lookup.candidates(stripped):
                share = self._share(item, stripped[row].as_py())
                if share >= self.threshold and (row not in best or share > best[row].share):
                    best[row] = Found(row, item, share)
        return [best[row] for row in sorted(best)]

    def _share(self, item: int, text: str) -> float:
        """How much of an item's characters stands in a text, in runs of RUN or in whole parts."""
        there, total = 0.0, 0
        for part in self._parts[item]:
            size = min(len(part), RUN)
            runs = len(part) - size + 1
            total += len(part)
            there += len(part) * sum(part[at : at + size] in text for at in range(runs)) / runs
        return there / max(total, 1)

    def _sized(self) -> dict[int, list[tuple[int, str]]]:
        """Length of runs → (item, part) to look for: an item's long parts, or its longest where it has none."""
        sized: dict[int, list[tuple[int, str]]] = defaultdict(list)
        for place, parts in enumerate(self._parts):
            if sum(map(len, parts)) < LEAST:
                continue
            long = [part for part in parts if len(part) >= RUN] or [max(parts, key=len)]
            for part in long:
                sized[min(RUN, len(part))].append((place, part))
        return sized


class _Lookup:
    """Which items have which run of characters."""

    def __init__(self, parts: Sequence[tuple[int, str]], size: int) -> None:
        self.size = size
        hashes, offsets = shingles(pa.array([text for _, text in parts], pa.string()), size)
        items = np.repeat(np.array([item for item, _ in parts]), np.diff(offsets.astype(np.int64)).astype(np.int64))
        order = np.lexsort((items, hashes))
        self.hashes, self.items = hashes[order], items[order]
        self.sieve = np.zeros(SIEVE, dtype=bool)
        self.sieve[_low(hashes)] = True
        self.sizes = np.bincount(items, minlength=int(items.max(initial=-1)) + 1)

    def candidates(self, texts: pa.StringArray) -> set[tuple[int, int]]:
        """(row, item) where a third of the item's runs, at least, may stand in the row."""
        hashes, offsets = shingles(texts, self.size)
        hits = np.flatnonzero(self.sieve[_low(hashes)])
        rows = np.searchsorted(offsets.astype(np.int64), hits, side="right") - 1
        found = hashes[hits]
        order = np.lexsort((found, rows))
        rows, found = rows[order], found[order]
        new = np.ones(len(rows), dtype=bool)
        new[1:] = (rows[1:] != rows[:-1]) | (found[1:] != found[:-1])
        rows, found = rows[new], found[new]
        first = np.searchsorted(self.hashes, found, side="left")
        counts = np.searchsorted(self.hashes, found, side="right") - first
        places = np.repeat(first, counts) + np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        told, often = np.unique(np.repeat(rows, counts) * len(self.sizes) + self.items[places], return_counts=True)
        row, item = np.divmod(told, max(len(self.sizes), 1))
        enough = 3 * often >= self.sizes[item]
        return set(zip(row[enough].tolist(), item[enough].tolist(), strict=True))


def bare(texts: pa.StringArray) -> pa.StringArray:
    """(n,) texts in lower case and normal form C, without white space and punctuation."""
    return pc.replace_substring_regex(pc.utf8_lower(pc.utf8_normalize(texts, "NFC")), MARKS, "")


def _low(hashes: Hashes) -> NDArray[np.int64]:
    return (hashes & np.uint64(SIEVE - 1)).astype(np.int64)
