"""A pool on disk: `rows/*.parquet`, `index.parquet`, `pool.json`; opened by its index, read by position."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from composer.artifacts import read_json
from composer.errors import PoolError
from composer.pool.index import Index

MESSAGES = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))
ROW_SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("messages", MESSAGES),
        ("category", pa.string()),
        ("stratum", pa.string()),
        ("source", pa.string()),
        ("mode", pa.string()),
        ("n_tokens", pa.int32()),
    ]
)


@dataclass(frozen=True)
class Pool:
    """A pool that lies in `path`.

    Attributes:
        path: The pool's folder.
        facts: What `pool.json` says: name, digest, counts, tokeniser, versions.
    """

    path: Path
    facts: dict[str, Any]

    @classmethod
    def open(cls, path: Path) -> Pool:
        """Opens the pool in `path`.

        Raises:
            PoolError: `path` is not a pool folder.
        """
        missing = [name for name in ("pool.json", "index.parquet", "rows") if not (path / name).exists()]
        if missing:
            raise PoolError(
                f"{path} is not a pool folder: it lacks {', '.join(missing)}; build one, or correct pool.path"
            )
        return cls(path, read_json(path / "pool.json"))

    @property
    def name(self) -> str:
        """The pool's name."""
        return str(self.facts["name"])

    @property
    def digest(self) -> str:
        """The hash of the pool's index, which covers every row's content hash."""
        return str(self.facts["digest"])

    @cached_property
    def index(self) -> Index:
        """The pool's index, read once."""
        columns = ["id", "category", "stratum", "hash", "n_tokens"]
        return Index.from_table(pq.read_table(self.path / "index.parquet", columns=columns))

    def take(self, positions: NDArray[np.int64], workers: int = 1) -> pa.Table:
        """The rows at `positions`, in that order, repeats kept, with the columns of `ROW_SCHEMA`.

        Only the row groups that hold a chosen row are read; `workers` threads read them.
        """
        wanted, inverse = np.unique(positions, return_inverse=True)
        groups = list(self._groups(wanted))
        with ThreadPoolExecutor(max(1, workers)) as threads:
            parts = list(threads.map(lambda group: _read(*group), groups))
        table = pa.concat_tables(parts) if parts else ROW_SCHEMA.empty_table()
        return table.take(pa.array(inverse))

    def _groups(self, wanted: NDArray[np.int64]) -> Iterator[tuple[Path, int, NDArray[np.int64]]]:
        """(file, row group, places within it) of the sorted positions `wanted`."""
        start = 0
        for file, group, size in self._layout:
            low, high = np.searchsorted(wanted, [start, start + size])
            if low < high:
                yield file, group, wanted[low:high] - start
            start += size

    @cached_property
    def _layout(self) -> list[tuple[Path, int, int]]:
        """(file, row group, rows in it) in the order of the positions."""
        files = [(file, pq.read_metadata(file)) for file in sorted((self.path / "rows").glob("*.parquet"))]
        return [
            (file, group, metadata.row_group(group).num_rows)
            for file, metadata in files
            for group in range(metadata.num_row_groups)
        ]


def _read(file: Path, group: int, places: NDArray[np.int64]) -> pa.Table:
    with pq.ParquetFile(file) as parquet:
        return parquet.read_row_group(group).take(pa.array(places)).cast(ROW_SCHEMA)
