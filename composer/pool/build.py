"""Builds a pool folder from rows: content ids, exact duplicates dropped, tokens counted, sorted, written whole."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from composer import __version__
from composer.artifacts import new_folder, write_json
from composer.errors import PoolError
from composer.pool.index import INDEX_SCHEMA, row_hash
from composer.pool.store import ROW_SCHEMA

BATCH = 2048
GROUP = 4096  # rows a row group: what is read to fetch one row
ROWS_PER_FILE = 65536

TokenCounter = Callable[[Sequence[Sequence[dict[str, str]]]], list[int]]


@dataclass(frozen=True)
class Row:
    """One row of a pool before it has an id.

    `messages` are chat turns of `role` and `content`; `mode` is `think` or `no_think`.
    """

    messages: tuple[tuple[str, str], ...]
    category: str
    stratum: str
    source: str
    mode: str

    @cached_property
    def id(self) -> str:
        """The hash of the row's content and category, as 32 hexadecimal digits."""
        text = json.dumps([self.category, self.messages], ensure_ascii=False, separators=(",", ":"))
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()

    @property
    def turns(self) -> list[dict[str, str]]:
        """The messages in the form that chat templates take."""
        return [{"role": role, "content": content} for role, content in self.messages]


def build_pool(
    path: Path,
    name: str,
    rows: Iterable[Row],
    count_tokens: TokenCounter,
    progress: Callable[[int], None] | None = None,
) -> None:
    """Writes the pool folder `path` from `rows`, whole or not at all.

    A row that says the same as an earlier one of its category is dropped. Rows lie sorted by category, stratum and
    hash, so that a mixture's rows stand together. `progress` is told the number of rows read so far.

    Raises:
        PoolError: There is not one row.
    """
    columns: dict[str, list[object]] = {field: [] for field in (*INDEX_SCHEMA.names, "messages")}
    seen: set[str] = set()
    read = 0
    for batch in _batched(rows):
        read += len(batch)
        fresh = {row.id: row for row in batch if row.id not in seen}
        seen.update(fresh)
        for (row_id, row), tokens in zip(fresh.items(), count_tokens([r.turns for r in fresh.values()]), strict=True):
            values = (
                row_id, row.category, row.stratum, row.mode, row.source,
                sum(len(content) for _, content in row.messages), tokens, row_hash(row_id), row.turns,
            )  # fmt: skip
            for column, value in zip(columns.values(), values, strict=True):
                column.append(value)
        if progress is not None:
            progress(read)
    if not seen:
        raise PoolError(f"pool {name} has no rows: its source is empty")
    order = [("category", "ascending"), ("stratum", "ascending"), ("hash", "ascending"), ("id", "ascending")]
    plain = {name: kind.value_type if pa.types.is_dictionary(kind) else kind for name, kind in _types(INDEX_SCHEMA)}
    table = pa.table(
        {
            field: pa.array(values, plain.get(field, ROW_SCHEMA.field("messages").type))
            for field, values in columns.items()
        }
    ).sort_by(order)
    with new_folder(path) as folder:
        _write(folder, table)
        counts = Counter(zip(table["category"].to_pylist(), table["stratum"].to_pylist(), strict=True))
        digest = hashlib.sha256(
            "\n".join(
                f"{i} {n}" for i, n in zip(table["id"].to_pylist(), table["n_tokens"].to_pylist(), strict=True)
            ).encode()
        )
        write_json(
            folder / "pool.json",
            {
                "version": 1,
                "composer": __version__,
                "name": name,
                "digest": digest.hexdigest(),
                "rows": len(table),
                "duplicates": read - len(table),
                "tokens": sum(table["n_tokens"].to_pylist()),
                "categories": {
                    category: {stratum: counts[category, stratum] for _, stratum in group}
                    for category, group in itertools.groupby(sorted(counts), key=lambda pair: pair[0])
                },
            },
        )


def _write(folder: Path, table: pa.Table) -> None:
    (folder / "rows").mkdir()
    for number, start in enumerate(range(0, len(table), ROWS_PER_FILE)):
        part = table.slice(start, ROWS_PER_FILE).select(ROW_SCHEMA.names).cast(ROW_SCHEMA)
        pq.write_table(part, folder / "rows" / f"{number:05d}.parquet", row_group_size=GROUP, compression="zstd")
    pq.write_table(table.select(INDEX_SCHEMA.names).cast(INDEX_SCHEMA), folder / "index.parquet", compression="zstd")


def _types(schema: pa.Schema) -> Iterator[tuple[str, pa.DataType]]:
    return ((field.name, field.type) for field in schema)


def _batched(rows: Iterable[Row]) -> Iterator[list[Row]]:
    iterator = iter(rows)
    while batch := list(itertools.islice(iterator, BATCH)):
        yield batch
