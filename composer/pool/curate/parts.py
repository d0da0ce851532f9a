"""Parts: rows on their way, sorted as the pool will be; beside them what duplicates and order are told by.

Rows lie in small compressed batches, so that any few of them are read without the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from composer.pool.duplicates.near import BANDS, PERMUTATIONS
from composer.pool.hashes import Hashes, standings
from composer.pool.store import MESSAGES, write_arrow

BATCH = 256
ROWS = pa.schema(
    [
        ("id", pa.string()),
        ("messages", MESSAGES),
        ("category", pa.string()),
        ("stratum", pa.string()),
        ("source", pa.string()),
        ("mode", pa.string()),
        ("n_tokens", pa.int32()),
        ("n_chars", pa.int32()),
        ("file", pa.string()),
        ("line", pa.int64()),
    ]
)
# What is held of every row at once while duplicates are looked for and rows are put in order. `by_prompt`, `by_row` and
# `by_near` say of which kinds of duplicate the row may not be.
KEYS = pa.schema(
    [
        ("id", pa.binary(16)),
        ("hash", pa.uint64()),
        ("category", pa.dictionary(pa.int32(), pa.string())),
        ("stratum", pa.dictionary(pa.int32(), pa.string())),
        ("source", pa.dictionary(pa.int32(), pa.string())),
        ("mode", pa.dictionary(pa.int32(), pa.string())),
        ("n_tokens", pa.int32()),
        ("n_chars", pa.int32()),
        ("section", pa.int32()),  # the source's place in the pool's config
        ("prompt_key", pa.uint64()),
        ("row_key", pa.uint64()),
        ("by_prompt", pa.bool_()),
        ("by_row", pa.bool_()),
        ("by_near", pa.bool_()),
    ]
)
NEAR = pa.schema(
    [("signature", pa.binary(PERMUTATIONS)), *((f"band_{place:02d}", pa.uint64()) for place in range(BANDS))]
)


@dataclass(frozen=True)
class Part:
    """The files of a part.

    Attributes:
        path: `….rows.arrow`; those of its keys and of its signatures, if it has some, lie beside it.
    """

    path: Path

    @property
    def keys(self) -> Path:
        """The file of `KEYS`."""
        return self.path.with_name(self.path.name.replace(".rows.", ".keys."))

    @property
    def near(self) -> Path:
        """The file of `NEAR`; absent where no row of the part may nearly repeat another."""
        return self.path.with_name(self.path.name.replace(".rows.", ".near."))

    @property
    def size(self) -> int:
        """The number of its rows."""
        return len(_read(self.keys))

    def write(self, rows: pa.Table, keys: pa.Table, near: pa.Table | None) -> None:
        """Writes rows (n,) with their keys in the pool's order."""
        stands = pa.array(standings(keys["hash"].to_numpy()))
        told = pa.table({"category": rows["category"], "stratum": rows["stratum"], "stands": stands, "id": rows["id"]})
        order = pc.sort_indices(told, [(name, "ascending") for name in told.column_names])
        write_arrow(self.path, rows.take(order).cast(ROWS), BATCH, "zstd")
        if near is not None:
            write_arrow(self.near, near.take(order).cast(NEAR))
        write_arrow(self.keys, keys.take(order).cast(KEYS))

    def take(self, places: NDArray[np.int64]) -> pa.Table:
        """The rows at `places`, which are sorted; only the batches that hold them are read."""
        with pa.memory_map(str(self.path)) as file:
            reader = pa.ipc.open_file(file)
            of_batch = places // BATCH
            wanted = np.unique(of_batch)
            table = pa.Table.from_batches([reader.get_batch(int(batch)) for batch in wanted], ROWS)
            return table.take(pa.array(np.searchsorted(wanted, of_batch) * BATCH + places % BATCH))


def read_keys(parts: Sequence[Part]) -> pa.Table:
    """The keys of all parts, one after the other."""
    tables = [_read(part.keys) for part in parts]
    return pa.concat_tables(tables).unify_dictionaries().combine_chunks() if tables else KEYS.empty_table()


def read_band(parts: Sequence[Part], band: int) -> tuple[Hashes, list[int]]:
    """A band's keys of all parts that have signatures, and the number of rows of each part that has."""
    found = [_read(part.near)[f"band_{band:02d}"].to_numpy() for part in parts if part.near.exists()]
    return np.concatenate([*found, np.zeros(0, np.uint64)]), [len(one) for one in found]


def read_signatures(parts: Sequence[Part], into: Path) -> NDArray[np.uint8]:
    """(n, PERMUTATIONS) of all parts that have some, gathered into a file that is mapped into memory."""
    rows = 0
    with into.open("wb") as file:
        for part in parts:
            if part.near.exists():
                column = _read(part.near)["signature"].combine_chunks()
                file.write(memoryview(column.buffers()[1])[: len(column) * PERMUTATIONS])
                rows += len(column)
    if not rows:
        return np.zeros((0, PERMUTATIONS), np.uint8)
    return np.memmap(into, np.uint8, "r", shape=(rows, PERMUTATIONS))


def _read(path: Path) -> pa.Table:
    with pa.memory_map(str(path)) as file:
        return pa.ipc.open_file(file).read_all()
