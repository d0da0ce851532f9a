"""A pool on disk: `rows/*.parquet`, `index.parquet`, `pool.json`; opened by its index, read by position."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
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
        file = self.path / "index.parquet"
        table = pq.read_table(file, columns=["category", "stratum", "hash", "n_tokens"])
        return Index.from_table(table, StoredIds(file, len(table)))

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
        starts, groups = self._layout
        for place, low, high in _touched(starts, wanted):
            yield *groups[place], wanted[low:high] - starts[place]

    @cached_property
    def _layout(self) -> tuple[NDArray[np.int64], list[tuple[Path, int]]]:
        """The position at which each row group begins, and all end; and the (file, row group) of each."""
        files = [(file, pq.read_metadata(file)) for file in sorted((self.path / "rows").glob("*.parquet"))]
        starts = _starts(metadata for _, metadata in files)
        return starts, [(file, group) for file, metadata in files for group in range(metadata.num_row_groups)]


class StoredIds:
    """The ids of an index, read where they are asked for: seven million of them are not needed to choose a few."""

    def __init__(self, file: Path, size: int) -> None:
        """Of `size` rows in the file `index.parquet`."""
        self.file, self.size = file, size

    def __len__(self) -> int:
        """The number of rows."""
        return self.size

    def __getitem__(self, position: int) -> pa.StringScalar:
        """The id of one row."""
        return self.take(np.array([position]))[0]

    def take(self, positions: NDArray[np.int64]) -> pa.StringArray:
        """(k,) the ids at `positions`, repeats kept."""
        wanted, inverse = np.unique(positions, return_inverse=True)
        with pq.ParquetFile(self.file) as file:
            starts, found = _starts([file.metadata]), [pa.array([], pa.string())]
            for place, low, high in _touched(starts, wanted):
                column = file.read_row_group(place, columns=["id"])["id"].combine_chunks()
                found.append(column.take(pa.array(wanted[low:high] - starts[place])))
        return pa.concat_arrays(found).take(pa.array(inverse))

    def to_pylist(self) -> list[str]:
        """All of them."""
        return list(pq.read_table(self.file, columns=["id"])["id"].to_pylist())


def _starts(files: Iterable[pq.FileMetaData]) -> NDArray[np.int64]:
    """Where the row groups of files begin, one after the other, and where the last ends."""
    sizes = [of.row_group(group).num_rows for of in files for group in range(of.num_row_groups)]
    return np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)]).astype(np.int64)


def _touched(starts: NDArray[np.int64], wanted: NDArray[np.int64]) -> Iterator[tuple[int, int, int]]:
    """(row group, from, to) of the sorted positions `wanted` that are in it, for groups that have some."""
    bounds = np.searchsorted(wanted, starts)
    for place in np.flatnonzero(np.diff(bounds)).tolist():
        yield place, int(bounds[place]), int(bounds[place + 1])


def write_table(path: Path, table: pa.Table, group: int) -> None:
    """Writes a Parquet file with so many rows a row group beside `path`, then renames it there."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    pq.write_table(table, beside, row_group_size=group, compression="zstd")
    beside.rename(path)


def _read(file: Path, group: int, places: NDArray[np.int64]) -> pa.Table:
    with pq.ParquetFile(file) as parquet:
        return parquet.read_row_group(group).take(pa.array(places)).cast(ROW_SCHEMA)
