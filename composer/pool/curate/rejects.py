"""Rows that are thrown out, with the reason; all of them can be looked at."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from composer.pool.sources.reading import SHOWN, Broken
from composer.pool.store import MESSAGES

REJECT_GROUP = 1024  # rows of a row group
REJECT_SCHEMA = pa.schema(
    [
        ("source", pa.string()),  # the section's name
        ("file", pa.string()),
        ("line", pa.int64()),  # in a text file; else the row's number; from 1
        ("reason", pa.string()),  # FILTER: WHAT, or what was wrong before filters
        ("detail", pa.string()),  # the row that is kept in its stead, the benchmark's item, the value; may be null
        ("category", pa.string()),  # null where it is not known
        ("messages", MESSAGES),  # null where none could be made
        ("text", pa.string()),  # how a row begins of which no messages could be made
    ]
)


def broken_rows(source: str, file: str, broken: Sequence[Broken]) -> pa.Table:
    """Rejects of rows that could not be read."""
    return pa.table(
        {
            "source": [source] * len(broken),
            "file": [file] * len(broken),
            "line": [one.line for one in broken],
            "reason": ["broken row"] * len(broken),
            "detail": [one.reason for one in broken],
            "category": [None] * len(broken),
            "messages": [None] * len(broken),
            "text": [one.text[:SHOWN] for one in broken],
        },
        REJECT_SCHEMA,
    )


def rejected_rows(
    source: str, file: str | Sequence[str], lines: NDArray[np.int64], rows: pa.Table, reasons: Sequence[str],
    details: Sequence[str | None],
) -> pa.Table:  # fmt: skip
    """Rejects of `rows`, which have `category` and `messages`."""
    size = len(rows)
    return pa.table(
        {
            "source": [source] * size,
            "file": [file] * size if isinstance(file, str) else list(file),
            "line": pa.array(lines, pa.int64()),
            "reason": pa.array(reasons, pa.string()),
            "detail": pa.array(details, pa.string()),
            "category": rows["category"].combine_chunks(),
            "messages": rows["messages"].combine_chunks().cast(MESSAGES),
            "text": pa.nulls(size, pa.string()),
        }
    ).cast(REJECT_SCHEMA)
