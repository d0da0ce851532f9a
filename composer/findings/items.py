"""The item values of trials, in one order, after a check that the same items were asked of all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from composer.errors import FindingsError

COLUMNS = ("task", "filter", "metric", "doc_hash", "doc_id", "value")
GROUP = ("task", "filter", "metric")


class Group(NamedTuple):
    """The rows of one task, filter and metric: one row an item."""

    task: str
    filter: str
    metric: str


class Items(NamedTuple):
    """The items of one group, sorted by `hashes`, then by their place in the task.

    Attributes:
        hashes: (n_items,) the hash of each item's document.
        values: (n_items,) float64, the item's value, finite.
    """

    hashes: NDArray[Any]
    values: NDArray[np.float64]


def read_items(path: Path) -> dict[Group, Items]:
    """Reads a trial's `items.parquet`.

    Raises:
        FindingsError: The file is absent or damaged, lacks a column, or holds a value that is not a finite number.
    """
    if not path.is_file():
        raise FindingsError(
            f"{path} is absent though its trial is recorded as finished: delete its folder and run again"
        )
    try:
        absent = set(COLUMNS) - set(pq.read_schema(path).names)
        table = pq.read_table(path, columns=[name for name in COLUMNS if name not in absent])
    except (pa.ArrowException, OSError) as error:
        raise FindingsError(f"{path} cannot be read ({error}): delete its folder and run again") from error
    if absent:
        raise FindingsError(f"{path} lacks the columns {', '.join(sorted(absent))}: delete its folder and run again")
    table = table.sort_by([(name, "ascending") for name in COLUMNS[:-1]])
    _check_finite(table, path)
    hashes = table["doc_hash"].to_numpy()
    values = table["value"].to_numpy().astype(np.float64)
    counts = table.group_by(list(GROUP), use_threads=False).aggregate([([], "count_all")]).to_pylist()
    groups, start = {}, 0
    for row in counts:
        end = start + row["count_all"]
        groups[Group(*(row[name] for name in GROUP))] = Items(hashes[start:end], values[start:end])
        start = end
    return groups


def read_paired(run: Path, keys: Sequence[str]) -> dict[str, dict[Group, NDArray[np.float64]]]:
    """Reads the items of the trials `keys`, so that the value at one place belongs to the same item in all of them.

    Raises:
        FindingsError: A trial's items cannot be read, or are not the items of the first trial.
    """
    values: dict[str, dict[Group, NDArray[np.float64]]] = {}
    first: dict[Group, Items] = {}
    for key in keys:
        items = read_items(run / "trials" / key / "items.parquet")
        first = first or items
        _check_paired(first, items, keys[0], key)
        values[key] = {group: found.values for group, found in items.items()}
    return values


def _check_finite(table: pa.Table, path: Path) -> None:
    bad = table.filter(pc.invert(pc.fill_null(pc.is_finite(table["value"]), False)))
    if bad.num_rows:
        row = bad.slice(0, 1).to_pylist()[0]
        raise FindingsError(
            f"{path} holds {bad.num_rows} values that are not finite numbers, first {row['value']} for item "
            f"{row['doc_id']} of task {row['task']}, metric {row['metric']}: mend the metric and run the trial again"
        )


def _check_paired(first: Mapping[Group, Items], other: Mapping[Group, Items], first_key: str, key: str) -> None:
    remedy = (
        f"evaluate all trials on the same items (same benchmarks.tasks and benchmarks.limit): "
        f"delete the folder of the trial that differs, trials/{first_key} or trials/{key}, and run again"
    )
    for group in sorted(first.keys() ^ other.keys()):
        has, lacks = (first_key, key) if group in first else (key, first_key)
        raise FindingsError(f"trial {has} has items of {_named(group)} and trial {lacks} has none: {remedy}")
    for group in sorted(first):
        here, there = first[group].hashes, other[group].hashes
        if not np.array_equal(here, there):
            alone = len(set(here) ^ set(there))
            raise FindingsError(
                f"the items of {_named(group)} do not pair: trial {first_key} has {len(here)}, trial {key} has "
                f"{len(there)}, and {alone} documents are in only one of them: {remedy}"
            )


def _named(group: Group) -> str:
    return f"task {group.task}, filter {group.filter}, metric {group.metric}"
