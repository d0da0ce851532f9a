"""Writes a mixture as Parquet with its manifest and card: whole or not at all, and always the same bytes."""

from __future__ import annotations

import itertools
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
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
from composer.pool.arrays import column
from composer.pool.store import ROW_SCHEMA, Pool

ROWS_PER_SHARD = 8192
ROWS_PER_GROUP = 1024
PATIENCE = 2.0  # seconds before a progress bar shows


def export(mixture: Mixture, pool: Pool, out: Path, config: MixtureConfig, workers: int = 1) -> dict[str, Any]:
    """Writes `out/{data/*.parquet, manifest.json, README.md}` and returns the manifest.

    The columns are those of `composer.pool.store.ROW_SCHEMA`. Files hold `ROWS_PER_SHARD` rows each and do not depend
    on `workers`, the number of threads that read and write; memory holds two shards of text of each. Where `out`
    already holds this very mixture it is left as it is.

    Raises:
        OutputError: `out` holds something else.
    """
    described = manifest(mixture, pool.name, pool.digest, config)
    if _holds(out, described):
        return described
    with new_folder(out) as folder, _progress(len(mixture)) as advance:
        (folder / "data").mkdir()
        _write(mixture.positions, pool, folder, workers, advance)
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


def _write(
    positions: NDArray[np.int64], pool: Pool, folder: Path, workers: int, advance: Callable[[float], None]
) -> None:
    """Writes the rows at `positions`, `ROWS_PER_SHARD` to a file, in that order.

    The order is a shuffle, so every shard has rows from all over the pool. The pool is read once, in its own order;
    what each stretch of it has for each shard is set aside on disk, and each shard then gathers its own.
    """
    starts = np.arange(0, len(positions), ROWS_PER_SHARD)
    in_pool_order = np.argsort(positions, kind="stable")
    stretches = [np.sort(in_pool_order[start : start + ROWS_PER_SHARD]) for start in starts]
    bounds = [np.searchsorted(places, [*starts, len(positions)]) for places in stretches]

    with tempfile.TemporaryDirectory(dir=folder) as aside, ThreadPoolExecutor(workers) as threads:
        files = [Path(aside) / f"{number}.arrow" for number in range(len(starts))]

        def set_aside(number: int) -> None:
            rows = pool.take(positions[stretches[number]]).combine_chunks()
            with pa.ipc.new_file(files[number], ROW_SCHEMA) as writer:
                for low, high in itertools.pairwise(bounds[number]):
                    writer.write_batch(_batch(rows.slice(low, high - low)))
            advance(len(rows) / 2)

        def gather(number: int) -> None:
            parts, mine = list[pa.RecordBatch](), list[NDArray[np.int64]]()
            for file, places, cuts in zip(files, stretches, bounds, strict=True):
                with pa.memory_map(str(file)) as source:
                    parts.append(pa.ipc.open_file(source).get_batch(number))
                mine.append(places[cuts[number] : cuts[number + 1]])
            order = np.argsort(np.concatenate(mine))
            rows = pa.Table.from_batches(parts, ROW_SCHEMA).combine_chunks().take(column(order)).combine_chunks()
            path = folder / "data" / f"train-{number:05d}-of-{len(starts):05d}.parquet"
            pq.write_table(rows, path, row_group_size=ROWS_PER_GROUP, compression="zstd")
            advance(len(rows) / 2)

        for step in (set_aside, gather):
            for _ in threads.map(step, range(len(starts))):
                pass


def _batch(table: pa.Table) -> pa.RecordBatch:
    batches = table.to_batches()
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
