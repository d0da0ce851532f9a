"""The index of a pool: everything that composing needs to know of a row, and none of its text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from composer.pool.hashes import row_hash

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


class Ids(Protocol):
    """Ids by position: an Arrow array, or what reads them when they are asked for."""

    def __getitem__(self, position: int, /) -> pa.StringScalar:
        """One of them."""

    def take(self, positions: Any, /) -> pa.StringArray:
        """(k,) those at `positions`."""

    def to_pylist(self) -> list[str]:
        """All of them."""


@dataclass(frozen=True)
class Index:
    """The rows of a pool by position, which is their place in the pool's `rows/` files.

    Attributes:
        strata: Every (category, stratum) that occurs, sorted by category, then by stratum.
        stratum: (n_rows,) int32, each row's place in `strata`.
        hash: (n_rows,) uint64, the unseeded hash of each row's id.
        n_tokens: (n_rows,) int32, tokens of each row under the pool's tokeniser.
        ids: (n_rows,) strings, distinct.
    """

    strata: tuple[tuple[str, str], ...]
    stratum: NDArray[np.int32]
    hash: NDArray[np.uint64]
    n_tokens: NDArray[np.int32]
    ids: Ids

    def __len__(self) -> int:
        """The number of rows."""
        return len(self.stratum)

    @property
    def categories(self) -> tuple[str, ...]:
        """The category names, sorted."""
        return tuple(sorted({category for category, _ in self.strata}))

    def strata_of(self, category: str) -> tuple[int, ...]:
        """The places in `strata` of one category's strata, in the order of their names."""
        return tuple(place for place, (name, _) in enumerate(self.strata) if name == category)

    @classmethod
    def from_rows(
        cls,
        ids: Sequence[str],
        categories: Sequence[str],
        strata: Sequence[str],
        n_tokens: Sequence[int],
    ) -> Index:
        """Builds an index from plain sequences of equal length, one entry a row."""
        pairs = list(zip(categories, strata, strict=True))
        places = {pair: place for place, pair in enumerate(sorted(set(pairs)))}
        return cls(
            strata=tuple(places),
            stratum=np.array([places[pair] for pair in pairs], dtype=np.int32),
            hash=np.array([row_hash(row_id) for row_id in ids], dtype=np.uint64),
            n_tokens=np.asarray(n_tokens, dtype=np.int32),
            ids=pa.array(ids, pa.string()),
        )

    @classmethod
    def from_table(cls, table: pa.Table, ids: Ids | None = None) -> Index:
        """Reads an index from the columns of `index.parquet`; `ids` stand in the place of the column `id`."""
        columns = [table[name].unify_dictionaries().combine_chunks() for name in ("category", "stratum")]
        names = [column.dictionary.to_pylist() for column in columns]
        width = max(len(names[1]), 1)
        codes = np.asarray(columns[0].indices).astype(np.int64) * width + np.asarray(columns[1].indices)
        used = np.flatnonzero(np.bincount(codes, minlength=1))
        pairs = [(names[0][code // width], names[1][code % width]) for code in used.tolist()]
        strata = sorted(pairs)
        place = {pair: at for at, pair in enumerate(strata)}
        lookup = np.zeros(used.max(initial=0) + 1, np.int32)
        lookup[used] = [place[pair] for pair in pairs]
        return cls(
            strata=tuple(strata),
            stratum=lookup[codes],
            hash=table["hash"].to_numpy(),
            n_tokens=table["n_tokens"].to_numpy(),
            ids=table["id"].combine_chunks() if ids is None else ids,
        )
