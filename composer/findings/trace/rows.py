"""Rows in Parquet files, a row group at a time: a mixture's or a pool's, whose text memory need not hold."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from composer.config_pool import PoolConfig
from composer.pool.filters import RULES, Batch, Rule
from composer.pool.filters.rules import parameters

T = TypeVar("T")
Filters = Mapping[str, Mapping[str, Any]]  # filter → its parameters
COLUMNS = ("messages", "category", "n_tokens")  # what filters are run on


class RowFiles:
    """The rows of a folder's files, in the order of the files' names; a row's place is its number in that order."""

    def __init__(self, folder: Path) -> None:
        """Of the Parquet files in `folder`, at least one."""
        metadata = [(file, pq.read_metadata(file)) for file in sorted(folder.glob("*.parquet"))]
        self._groups = [(file, group) for file, of in metadata for group in range(of.num_row_groups)]
        sizes = [of.row_group(group).num_rows for _, of in metadata for group in range(of.num_row_groups)]
        self._starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)

    def __len__(self) -> int:
        """The number of rows."""
        return int(self._starts[-1])

    def each(self, of: Callable[[pa.Table], T], columns: Sequence[str], told: Callable[[int], None]) -> Iterator[T]:
        """What `of` makes of every row group, in order, in as many threads as there are cores.

        Args:
            of: Takes a table of some thousand rows.
            columns: Of the table.
            told: Hears how many rows were read.
        """
        with ThreadPoolExecutor(os.cpu_count() or 1) as threads:
            made = threads.map(lambda at: of(_read(at[0], at[1], columns)), self._groups)
            for one, end in zip(made, self._starts[1:].tolist(), strict=True):
                told(end)
                yield one

    def take(self, places: NDArray[np.int64], columns: Sequence[str]) -> pa.Table:
        """(k,) the rows at distinct sorted places."""
        bounds = np.searchsorted(places, self._starts)
        return pa.concat_tables(
            _read(*self._groups[at], columns).take(pa.array(places[bounds[at] : bounds[at + 1]] - self._starts[at]))
            for at in np.flatnonzero(np.diff(bounds)).tolist()
        ).combine_chunks()


def declared_filters(config: PoolConfig | None) -> dict[str, Filters]:
    """Category → the filters that a pool's config declares for it, those of its sources too."""
    found = dict[str, dict[str, Mapping[str, Any]]]()
    if config is None:
        return {}
    of_sources = [(source.category, source.filters) for source in config.sources.values()]
    for category, asked in [*config.filters.items(), *of_sources]:
        for name, given in asked.items():
            if name in RULES:
                found.setdefault(category, {}).setdefault(name, given or {})
    return dict(found)


def usable(columns: Sequence[str]) -> dict[str, Rule]:
    """The filters that run on rows of these columns: some take one that only a source has, such as the right answer."""
    return {name: of for name, of in RULES.items() if parameters(name).get("column", "messages") in columns}


def batch_of(rows: pa.Table) -> Batch:
    """Rows with `COLUMNS` as filters see them; tokens are those that the pool counted."""
    return Batch(rows, lambda _: rows["n_tokens"].to_numpy().astype(np.int64))


def _read(file: Path, group: int, columns: Sequence[str]) -> pa.Table:
    with pq.ParquetFile(file) as parquet:
        return parquet.read_row_group(group, columns=list(columns)).combine_chunks()
