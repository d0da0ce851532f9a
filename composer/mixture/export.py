"""Writes a mixture as Parquet with its manifest and card: whole or not at all, and always the same bytes."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress

from composer.artifacts import new_folder, read_json, write_json, write_text
from composer.config import MixtureConfig
from composer.errors import OutputError
from composer.mixture.card import card
from composer.mixture.compose import Mixture
from composer.mixture.manifest import manifest
from composer.pool.store import ROW_SCHEMA, Pool

ROWS_PER_SHARD = 8192
ROWS_PER_GROUP = 1024
PATIENCE = 2.0  # seconds before a progress bar shows


def export(mixture: Mixture, pool: Pool, out: Path, config: MixtureConfig, workers: int = 1) -> dict[str, Any]:
    """Writes `out/{data/*.parquet, manifest.json, README.md}` and returns the manifest.

    The columns are those of `composer.pool.store.ROW_SCHEMA`. Files hold `ROWS_PER_SHARD` rows each and do not depend
    on `workers`, the number of threads that read the pool; memory holds two shards of text. Where `out` already holds
    this very mixture it is left as it is.

    Raises:
        OutputError: `out` holds something else.
    """
    described = manifest(mixture, pool.name, pool.digest, config)
    if _holds(out, described):
        return described
    with new_folder(out) as folder, _progress(len(mixture)) as advance:
        (folder / "data").mkdir()
        shards = _shards(mixture.positions, pool, folder, workers, advance)
        count = -(-len(mixture) // ROWS_PER_SHARD)
        for number, table in enumerate(shards):
            path = folder / "data" / f"train-{number:05d}-of-{count:05d}.parquet"
            pq.write_table(table.combine_chunks(), path, row_group_size=ROWS_PER_GROUP, compression="zstd")
        write_json(folder / "manifest.json", described)
        write_text(folder / "README.md", card(described))
    # Another process may have been first: its folder stays, and must hold the same.
    _holds(out, described)
    return described


def _holds(out: Path, described: dict[str, Any]) -> bool:
    """Whether `out` holds this mixture; False where it is absent or an empty folder.

    Raises:
        OutputError: It holds something else.
    """
    if out.is_dir() and not any(out.iterdir()):
        return False
    if not out.exists():
        return False
    if not out.is_dir():
        raise OutputError(f"out={out} is a file: choose another out=")
    if not (out / "manifest.json").is_file():
        raise OutputError(f"out={out} holds other files, such as {min(out.iterdir()).name}: choose another out=")
    held = read_json(out / "manifest.json")
    if held == described:
        return True
    raise OutputError(f"out={out} holds another mixture, {_difference(held, described)}: choose another out=")


def _difference(held: Any, described: dict[str, Any]) -> str:
    if not isinstance(held, dict):
        return "or something else with a manifest.json"
    differing = [key for key in described if held.get(key) != described[key]]
    return f"which differs in {', '.join(differing)}" if differing else "of a newer form"


def _shards(
    positions: NDArray[np.int64], pool: Pool, folder: Path, workers: int, advance: Callable[[float], None]
) -> Iterator[pa.Table]:
    """The rows at `positions`, `ROWS_PER_SHARD` at a time, in that order.

    The order is a shuffle, so every shard has rows from all over the pool. The pool is read once, in its own order;
    what each stretch of it has for each shard is set aside on disk, and each shard then gathers its own.
    """
    starts = np.arange(0, len(positions), ROWS_PER_SHARD)
    if len(starts) == 1:
        yield pool.take(positions, workers)
        advance(len(positions))
        return
    in_pool_order = np.argsort(positions, kind="stable")
    stretches = [np.sort(in_pool_order[start : start + ROWS_PER_SHARD]) for start in starts]
    with tempfile.TemporaryDirectory(dir=folder) as aside:
        files = [Path(aside) / f"{number}.arrow" for number in range(len(stretches))]
        for file, places in zip(files, stretches, strict=True):
            table = pool.take(positions[places], workers)
            bounds = np.searchsorted(places, [*starts, len(positions)])
            with pa.ipc.new_file(file, ROW_SCHEMA, options=pa.ipc.IpcWriteOptions(compression="lz4")) as writer:
                for low, high in zip(bounds[:-1], bounds[1:], strict=True):
                    writer.write_batch(_batch(table.slice(low, high - low)))
            advance(len(places) / 2)
        for number, start in enumerate(starts):
            parts: list[pa.RecordBatch] = []
            mine: list[NDArray[np.int64]] = []
            for file, stretch in zip(files, stretches, strict=True):
                with pa.memory_map(str(file)) as source:
                    parts.append(pa.ipc.open_file(source).get_batch(number))
                low, high = np.searchsorted(stretch, [start, start + ROWS_PER_SHARD])
                mine.append(stretch[low:high])
            order = np.argsort(np.concatenate(mine))
            yield pa.Table.from_batches(parts, ROW_SCHEMA).combine_chunks().take(pa.array(order))
            advance(len(order) / 2)


def _batch(table: pa.Table) -> pa.RecordBatch:
    batches = table.combine_chunks().to_batches()
    return batches[0] if batches else pa.RecordBatch.from_pylist([], ROW_SCHEMA)


@contextmanager
def _progress(rows: int) -> Iterator[Callable[[float], None]]:
    """Gives a function that counts rows, and shows a bar once the work has taken some seconds before a person."""
    console = Console(stderr=True)
    bar = Progress(console=console, transient=True)
    task = bar.add_task("export", total=rows)
    since = time.monotonic()

    def advance(done: float) -> None:
        bar.advance(task, done)
        if console.is_terminal and not bar.live.is_started and time.monotonic() - since > PATIENCE:
            bar.start()

    try:
        yield advance
    finally:
        if bar.live.is_started:
            bar.stop()
