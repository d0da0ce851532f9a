"""The index of a pool: everything that composing needs to know of a row, and none of its text."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from composer.pool.arrays import ID_BYTES, column, hex_ids, numbers
from composer.pool.hashes import row_hash, standings

INDEX_SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("category", pa.dictionary(pa.int32(), pa.string())),
        ("stratum", pa.dictionary(pa.int32(), pa.string())),
        ("mode", pa.dictionary(pa.int32(), pa.string())),
        ("source", pa.dictionary(pa.int32(), pa.string())),
        ("n_chars", pa.int32()),
        ("n_tokens", pa.int32()),
        ("hash", pa.uint64()),
    ]
)
# What composing looks at of rows, packed: it is mapped into memory, of which only the rows looked at are read.
ORDER_SCHEMA = pa.schema([("id", pa.binary(ID_BYTES)), ("stands", pa.uint64()), ("n_tokens", pa.int32())])


class Ids(Protocol):
    """Ids by position: an Arrow array, or what makes them of packed ones when they are asked for."""

    def take(self, positions: Any, /) -> pa.StringArray:
        """(k,) those at `positions`, repeats kept."""

    def to_pylist(self) -> list[str]:
        """All of them."""


@dataclass(frozen=True)
class Index:
    """The rows of a pool by position, which is their place in the pool's `rows/` files.

    They lie stratum by stratum, in each by where they stand, then by id.

    Attributes:
        strata: Every (category, stratum) that occurs, sorted by category, then by stratum.
        sizes: The rows of each.
        stands: (n_rows,) uint64, where each row stands within its stratum.
        n_tokens: (n_rows,) int32, tokens of each row under the pool's tokeniser.
        ids: (n_rows,) strings, distinct.
    """

    strata: tuple[tuple[str, str], ...]
    sizes: tuple[int, ...]
    stands: NDArray[np.uint64]
    n_tokens: NDArray[np.int32]
    ids: Ids

    def __len__(self) -> int:
        """The number of rows."""
        return len(self.stands)

    @property
    def categories(self) -> tuple[str, ...]:
        """The category names, sorted."""
        return tuple(sorted({category for category, _ in self.strata}))

    def strata_of(self, category: str) -> tuple[int, ...]:
        """The places in `strata` of one category's strata, in the order of their names."""
        return tuple(place for place, (name, _) in enumerate(self.strata) if name == category)

    @cached_property
    def ends(self) -> NDArray[np.int64]:
        """The position at which each stratum ends and the next one begins."""
        return np.cumsum(self.sizes, dtype=np.int64)

    def rows(self, stratum: int) -> slice:
        """The positions of a stratum's rows, by its place in `strata`."""
        end = int(self.ends[stratum])
        return slice(end - self.sizes[stratum], end)

    def stratum(self, positions: NDArray[np.int64]) -> NDArray[np.int64]:
        """(k,) the place in `strata` of the rows at `positions`."""
        return np.searchsorted(self.ends, positions, side="right")

    @classmethod
    def from_rows(
        cls,
        ids: Sequence[str],
        categories: Sequence[str],
        strata: Sequence[str],
        n_tokens: Sequence[int],
        stands: Sequence[int] | None = None,
    ) -> Index:
        """Builds an index from plain sequences of equal length, one entry a row, in any order.

        Where rows stand follows from their ids, unless `stands` says it.
        """
        if stands is None:
            stands = standings(np.array([row_hash(row_id) for row_id in ids], dtype=np.uint64)).tolist()
        rows = sorted(zip(categories, strata, stands, ids, n_tokens, strict=True))
        sizes = {pair: len(list(group)) for pair, group in itertools.groupby(rows, key=lambda row: row[:2])}
        return cls(
            strata=tuple(sizes),
            sizes=tuple(sizes.values()),
            stands=np.array([row[2] for row in rows], dtype=np.uint64),
            n_tokens=np.array([row[4] for row in rows], dtype=np.int32),
            ids=pa.array([row[3] for row in rows], pa.string()),
        )

    @classmethod
    def open(cls, file: Path, strata: dict[tuple[str, str], int]) -> Index:
        """Maps a pool's `order.arrow` into memory; `strata` are the rows of each (category, stratum), sorted."""
        with pa.memory_map(str(file)) as source:
            [batch] = pa.ipc.open_file(source).read_all().to_batches()
        return cls(
            strata=tuple(strata),
            sizes=tuple(strata.values()),
            stands=numbers(batch["stands"]),
            n_tokens=numbers(batch["n_tokens"]),
            ids=_PackedIds(batch["id"]),
        )


@dataclass(frozen=True)
class _PackedIds:
    packed: pa.FixedSizeBinaryArray

    def take(self, positions: NDArray[np.int64]) -> pa.StringArray:
        """(k,) the ids at `positions`, repeats kept."""
        return hex_ids(self.packed.take(column(positions)))

    def to_pylist(self) -> list[str]:
        """All of them."""
        return list(hex_ids(self.packed).to_pylist())
