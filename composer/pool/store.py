"""A pool on disk: `rows/*.parquet`, `index.parquet`, `order.arrow`, `pool.json`; read by position."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
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
from composer.pool.arrays import column, texts
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
READ_SCHEMA = pa.schema([ROW_SCHEMA.field(name) for name in ("messages", "source", "mode")])


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
        files = ("pool.json", "index.parquet", "order.arrow", "rows")
        if missing := [name for name in files if not (path / name).exists()]:
            raise PoolError(
                f"{path} is not a pool folder: it lacks {', '.join(missing)}; build it anew, or correct pool.path"
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
        """The pool's index, of which nothing is read before it is looked at."""
        categories = self.facts["categories"].items()
        strata = {(category, name): rows for category, of in categories for name, rows in of.items()}
        return Index.open(self.path / "order.arrow", strata)

    def take(self, positions: NDArray[np.int64]) -> pa.Table:
        """The rows at `positions`, in that order, repeats kept, with the columns of `ROW_SCHEMA`.

        Only the row groups that hold a chosen row are read, and of them only what the index does not know.
        """
        wanted, inverse = np.unique(positions, return_inverse=True)
        read = pa.concat_tables([pa.Table.from_batches([], READ_SCHEMA), *self._read(wanted)])
        categories, strata = zip(*self.index.strata, strict=True)
        place = column(self.index.stratum(wanted))
        known = {
            "id": self.index.ids.take(wanted),
            "category": texts(categories).take(place),
            "stratum": texts(strata).take(place),
            "n_tokens": column(self.index.n_tokens[wanted]),
        }
        columns = [known[name] if name in known else read[name] for name in ROW_SCHEMA.names]
        return pa.table(columns, ROW_SCHEMA).take(column(inverse))

    def _read(self, wanted: NDArray[np.int64]) -> Iterator[pa.Table]:
        """What the index does not know of the rows at the sorted positions `wanted`, by row groups."""
        for number, places in _touched(self.facts["row_files"], wanted):
            with pq.ParquetFile(self.path / "rows" / f"{number:05d}.parquet") as file:
                groups = [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]
                for group, within in _touched(groups, places):
                    rows = file.read_row_group(group, columns=READ_SCHEMA.names, use_threads=False)
                    yield rows.take(column(within))


def _touched(sizes: Sequence[int], wanted: NDArray[np.int64]) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """(piece, places within it) of the sorted positions `wanted`, of pieces of `sizes` that hold some."""
    starts = np.concatenate([[0], np.cumsum(sizes)])
    bounds = np.searchsorted(wanted, starts)
    for piece in np.flatnonzero(np.diff(bounds)).tolist():
        yield piece, wanted[bounds[piece] : bounds[piece + 1]] - starts[piece]


def write_table(path: Path, table: pa.Table, group: int, **more: Any) -> None:
    """Writes a Parquet file with so many rows a row group; it is whole or absent."""
    with _beside(path) as beside:
        pq.write_table(table, beside, row_group_size=group, compression="zstd", **more)


def write_arrow(path: Path, table: pa.Table, batch: int | None = None, compression: str | None = None) -> None:
    """Writes an Arrow file with so many rows a batch, else all in one; it is whole or absent."""
    options = pa.ipc.IpcWriteOptions(compression=compression, use_threads=False, unify_dictionaries=True)
    with _beside(path) as beside, pa.ipc.new_file(str(beside), table.schema, options=options) as writer:
        writer.write_table(table.combine_chunks(), max_chunksize=batch or max(len(table), 1))


@contextmanager
def _beside(path: Path) -> Iterator[Path]:
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    yield beside
    beside.rename(path)
