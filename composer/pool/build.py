"""Builds a pool folder from rows that are made, not read: the mini world's."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa

from composer.artifacts import new_folder
from composer.config_pool import PoolConfig, SourceConfig
from composer.pool.arrays import hex_ids
from composer.pool.curate.content import content_ids
from composer.pool.curate.drivers import local
from composer.pool.curate.finish import finish
from composer.pool.curate.finished import PART_ROWS, Count, finished_rows, write_part
from composer.pool.curate.parts import Part
from composer.pool.store import MESSAGES

BATCH = 2048


@dataclass(frozen=True)
class Row:
    """One row of a pool before it has an id.

    `messages` are chat turns of `role` and `content`.
    """

    messages: tuple[tuple[str, str], ...]
    category: str
    stratum: str
    source: str

    @cached_property
    def id(self) -> str:
        """The hash of the row's content and category, as 32 hexadecimal digits."""
        found: str = hex_ids(content_ids(_messages([self]), pa.array([self.category])))[0].as_py()
        return found


def build_pool(
    path: Path, name: str, rows: Iterable[Row], count: Count, progress: Callable[[int], None] | None = None
) -> None:
    """Writes the pool folder `path` from `rows`, whole or not at all.

    A row that says the same as another one of its category is dropped. `progress` is told the number of rows so far.

    Raises:
        PoolError: There is not one row.
    """
    config = PoolConfig(name=name, kind="mini", sources={"rows": SourceConfig()})
    with new_folder(path) as folder:
        for below in ("parts", "rows", "rejects"):
            (folder / below).mkdir()
        parts, read = list[Part](), 0
        for number, tables in enumerate(_parts(rows, count)):
            kept = list[pa.Table]()
            for table in tables:
                read += len(table)
                kept.append(table)
                if progress is not None:
                    progress(read)
            parts.append(
                write_part(folder / "parts" / f"{number:06d}.rows.arrow", pa.concat_tables(kept), 0, (), "row")
            )
        facts = {"sources": {"rows": {"read": read, "rejects": {}}}}
        finish(folder, config, parts, facts, local(1), lambda told, done, total: None)
        shutil.rmtree(folder / "parts")


def _parts(rows: Iterable[Row], count: Count) -> Iterator[Iterator[pa.Table]]:
    """Tables of some rows each, as many as a part has at a time."""
    batches = iter(_batched(rows))
    for first in batches:
        more = itertools.islice(batches, PART_ROWS // BATCH - 1)
        yield (_table(batch, count) for batch in itertools.chain([first], more))


def _batched(rows: Iterable[Row]) -> Iterator[list[Row]]:
    iterator = iter(rows)
    while batch := list(itertools.islice(iterator, BATCH)):
        yield batch


def _table(rows: list[Row], count: Count) -> pa.Table:
    categories, strata, sources = (
        pa.array([getattr(row, name) for row in rows], pa.string()) for name in ("category", "stratum", "source")
    )
    return finished_rows(_messages(rows), categories, strata, sources, count, ("", np.zeros(len(rows), np.int64)))


def _messages(rows: list[Row]) -> pa.ListArray:
    return pa.array([[{"role": role, "content": content} for role, content in row.messages] for row in rows], MESSAGES)
