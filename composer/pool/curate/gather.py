"""Puts the rows of all parts that are kept in order, and writes the pool's files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from composer.pool.arrays import hex_ids
from composer.pool.curate.parts import Part
from composer.pool.curate.rejects import REJECT_GROUP, rejected_rows
from composer.pool.curate.weed import REASONS, id_words
from composer.pool.duplicates.same import Places
from composer.pool.hashes import standings
from composer.pool.index import INDEX_SCHEMA, ORDER_SCHEMA
from composer.pool.store import ROW_SCHEMA, write_table

FILE_ROWS = 1 << 16
FILE_CHARS = 1 << 27
GROUP_ROWS = 1 << 10  # of a row group: what is read to fetch one row
GROUP_CHARS = 1 << 21
KNOWN = ["category", "stratum"]  # what readers may choose row groups by
CODED = [*KNOWN, "source", "mode", "messages.list.element.role"]


@dataclass(frozen=True, eq=False)
class Destination:
    """A file of the pool's rows.

    Attributes:
        number: Of the file.
        parts: Those that rows come from.
        places: For each the rows' places in it, sorted.
        order: (n,) the place of each of the file's rows among these, one part after the other.
        group: Rows of a row group.
    """

    number: int
    parts: Sequence[Part]
    places: Sequence[NDArray[np.int64]]
    order: NDArray[np.int64]
    group: int

    def write(self, folder: Path) -> None:
        """Writes `rows/NUMBER.parquet` below `folder`, unless it is there."""
        path = folder / "rows" / f"{self.number:05d}.parquet"
        if path.exists():
            return
        tables = [
            part.take(places).select(ROW_SCHEMA.names) for part, places in zip(self.parts, self.places, strict=True)
        ]
        rows = pa.concat_tables(tables).take(pa.array(self.order)).cast(ROW_SCHEMA)
        # What is read is read whole: no dictionary of texts that are all distinct, no least and greatest text.
        write_table(path, rows.combine_chunks(), self.group, use_dictionary=CODED, write_statistics=KNOWN)


def in_order(keys: pa.Table, kept: Places) -> Places:
    """The places of rows that are kept, as the pool has them: by category, stratum, standing and id."""
    places = np.flatnonzero(kept < 0)
    stratum, _ = strata_of(keys)
    high, low = id_words(keys)
    stands = standings(keys["hash"].to_numpy()[places])
    return places[np.lexsort((low[places], high[places], stands, stratum[places]))]


def strata_of(keys: pa.Table) -> tuple[NDArray[np.int64], list[tuple[str, str]]]:
    """(n,) the place of each row's (category, stratum), and these, sorted."""
    category, stratum = (keys[name].combine_chunks() for name in ("category", "stratum"))
    names = [column.dictionary.to_pylist() for column in (category, stratum)]
    codes = np.asarray(category.indices).astype(np.int64) * len(names[1]) + np.asarray(stratum.indices)
    found, inverse = np.unique(codes, return_inverse=True)
    pairs = [(names[0][code // len(names[1])], names[1][code % len(names[1])]) for code in found.tolist()]
    every = sorted(set(pairs))
    place = {pair: at for at, pair in enumerate(every)}
    return np.array([place[pair] for pair in pairs], np.int64)[inverse], every


def destinations(
    parts: Sequence[Part], sizes: Sequence[int], order: Places, chars: NDArray[np.int64]
) -> list[Destination]:
    """The files that rows go to.

    Args:
        parts: Of the pool.
        sizes: Rows of each.
        order: (n,) the places of rows among those of all parts, as the pool has them.
        chars: (n,) characters of these rows.
    """
    ends = np.cumsum(sizes)
    found, start = list[Destination](), 0
    total = np.concatenate([[0], np.cumsum(chars)])
    while start < len(order):
        end = min(start + FILE_ROWS, int(np.searchsorted(total, total[start] + FILE_CHARS, side="right")) - 1)
        end = max(end, start + 1)
        group = int(min(GROUP_ROWS, max(1, GROUP_CHARS * (end - start) // max(total[end] - total[start], 1))))
        found.append(_destination(len(found), parts, ends, order[start:end], group))
        start = end
    return found


def _destination(number: int, parts: Sequence[Part], ends: NDArray[np.int64], rows: Places, group: int) -> Destination:
    ranked = np.argsort(rows, kind="stable")
    ordered = rows[ranked]
    order = np.empty(len(rows), np.int64)
    order[ranked] = np.arange(len(rows))
    of_part = np.searchsorted(ends, ordered, side="right")
    starts = np.concatenate([[0], ends])[of_part]
    some, first = np.unique(of_part, return_index=True)
    places = np.split(ordered - starts, first[1:])
    return Destination(number, [parts[at] for at in some], places, order, group)


def index_table(keys: pa.Table, order: Places) -> pa.Table:
    """The pool's index: the keys of rows, in the pool's order."""
    told = keys.take(pa.array(order))
    columns = {name: told[name].combine_chunks() for name in INDEX_SCHEMA.names}
    columns["id"] = hex_ids(columns["id"])
    for name in ("category", "stratum", "mode", "source"):
        columns[name] = _sorted_values(columns[name])
    return pa.table(columns).cast(INDEX_SCHEMA)


def order_table(keys: pa.Table, order: Places) -> pa.Table:
    """What composing looks at of rows, in the pool's order."""
    told = keys.select(["id", "hash", "n_tokens"]).take(pa.array(order))
    stands = pa.array(standings(told["hash"].to_numpy()))
    return pa.table({"id": told["id"], "stands": stands, "n_tokens": told["n_tokens"]}, ORDER_SCHEMA)


def _sorted_values(column: pa.DictionaryArray) -> pa.DictionaryArray:
    """The column with the values that occur, sorted: the same whatever the order in which they were met."""
    codes = np.asarray(column.indices)
    values = column.dictionary.to_pylist()
    used = sorted(np.unique(codes).tolist(), key=values.__getitem__)
    place = np.zeros(max(len(values), 1), np.int32)
    place[used] = np.arange(len(used))
    return pa.DictionaryArray.from_arrays(pa.array(place[codes]), pa.array([values[at] for at in used], pa.string()))


@dataclass(frozen=True, eq=False)
class Repeats:
    """Rows of a part that repeat others.

    Attributes:
        number: Of the part.
        part: The part.
        section: The name of the source that its rows are of.
        places: (n,) of the rows, sorted.
        reasons: (n,) a place in `REASONS` each.
        kept: (n,) the id of the row that is kept in each one's stead.
    """

    number: int
    part: Part
    section: str
    places: Places
    reasons: NDArray[np.int64]
    kept: pa.FixedSizeBinaryArray

    def write(self, folder: Path) -> None:
        """Writes `rejects/duplicates-NUMBER.parquet` below `folder`, unless it is there."""
        path = folder / "rejects" / f"duplicates-{self.number:06d}.parquet"
        if path.exists():
            return
        rows = self.part.take(self.places)
        reasons = [REASONS[at] for at in self.reasons]
        table = rejected_rows(
            self.section,
            rows["file"].to_pylist(),
            rows["line"].to_numpy(),
            rows,
            reasons,
            hex_ids(self.kept).to_pylist(),
        )
        write_table(path, table, REJECT_GROUP)
