"""The parts that sources are read in, side by side and each by itself: the same however many read them."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from composer.checks import listed
from composer.config_pool import HubConfig
from composer.errors import NeedsError, PoolError
from composer.pool.sources.columns import check_names, select
from composer.pool.sources.declared import Source
from composer.pool.sources.reading import PACKED, ROWS, Raw, Span, check_file, format_of, read

CONFIG = "hub.config"  # the path at which a row of the hub has the name of its config
SHARD_ROWS = 1 << 16  # of Parquet, about
SHARD_BYTES = 1 << 26  # of JSON lines


@dataclass(frozen=True)
class Shard:
    """A part of a source.

    Attributes:
        number: Of the shard within the pool.
        source: The source's name.
        file: A path; of the hub, what it is called there.
        span: Of the file; of the hub, the part's number and the number of parts.
    """

    number: int
    source: str
    file: str
    span: Span


def shards(sources: Sequence[Source], path: str | None) -> list[Shard]:
    """The shards of all sources, in their order.

    Args:
        sources: Of a pool.
        path: What their files lie below, or one file.

    Raises:
        PoolError: A source has no files, or one of them cannot be read.
        NeedsError: A data set of the hub cannot be reached.
    """
    parts = list[tuple[str, str, Span]]()
    for source in sources:
        hub = source.config.hub
        with of_source(source.name):
            parts += [(source.name, *part) for part in (_of_files(source, path) if hub is None else _of_hub(hub))]
    return [Shard(number, *part) for number, part in enumerate(parts)]


@contextmanager
def of_source(name: str) -> Iterator[None]:
    """Says of which source it is that a pool cannot be built."""
    try:
        yield
    except PoolError as error:
        raise type(error)(f"pool.sources.{name}: {error}") from error


def files(source: Source, path: str | None) -> list[Path]:
    """The files of a source, sorted by pattern, then by name.

    Raises:
        PoolError: There is none.
    """
    below = Path(str(path)).expanduser()
    return [below] if below.is_file() else matching(source.config.files, below, f"pool.sources.{source.name}")


def matching(patterns: Sequence[str], below: Path, key: str) -> list[Path]:
    """The files that patterns name below a folder, by pattern, then by name; `key` is what asks for them.

    Raises:
        PoolError: There is none.
    """
    found = list[Path]()
    for pattern in patterns:
        found += sorted(file for file in below.glob(pattern) if file.is_file() and file not in found)
    if not found:
        raise PoolError(
            f"{key}.files is {', '.join(patterns)}: there is no such file below {below}; correct it, or pool.path, "
            "which COMPOSER_DATA sets"
        )
    return found


def read_shard(source: Source, shard: Shard) -> Iterator[Raw]:
    """The rows of a shard, batch by batch.

    Raises:
        PoolError: It cannot be read to its end.
    """
    if source.config.hub is not None:
        yield from _from_hub(source, shard)
    else:
        yield from read(Path(shard.file), source.columns, source.config.header or None, shard.span)


def _of_files(source: Source, path: str | None) -> Iterator[tuple[str, Span]]:
    for file in files(source, path):
        kind, packed = format_of(file), file.suffix.lower() in PACKED
        check_file(file, source.columns, source.config.header or None)
        try:
            spans = _groups(file) if kind == "parquet" else _lines(file) if kind == "jsonl" and not packed else [Span()]
        except (OSError, pa.ArrowException) as error:
            raise PoolError(f"{file} cannot be read: {str(error).strip() or type(error).__name__}") from error
        yield from ((str(file), span) for span in spans)


def _groups(file: Path) -> list[Span]:
    """Row groups, together as many rows as a shard has."""
    metadata = pq.read_metadata(file)
    sizes = [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]
    ends = np.concatenate([[0], np.cumsum(sizes)]).astype(int)
    spans, start = list[Span](), 0
    for group in range(1, len(sizes) + 1):
        if group == len(sizes) or ends[group + 1] - ends[start] > SHARD_ROWS:
            spans.append(Span(start, group, int(ends[start]) + 1))
            start = group
    return spans


def _lines(file: Path) -> list[Span]:
    """Ranges of bytes, with the line that each starts at."""
    size = file.stat().st_size
    if size <= SHARD_BYTES:
        return [Span()]
    spans, line = list[Span](), 1
    with file.open("rb") as stream:
        for start in range(0, size, SHARD_BYTES):
            stream.seek(max(start - 1, 0))
            before = 1 if start else 0
            block = stream.read(before + min(SHARD_BYTES, size - start))
            # A line that starts before ends here, unless the byte before is its end.
            cut = 0 if not start or block[:1] == b"\n" else 1
            spans.append(Span(start, min(start + SHARD_BYTES, size), line + cut))
            line += block[before:].count(b"\n")
    return spans


def _of_hub(hub: HubConfig) -> Iterator[tuple[str, Span]]:
    for config in _configs(hub):
        count = _stream(hub, config).num_shards
        name = hub.id if config is None else f"{hub.id}/{config}"
        yield from ((name, Span(number, count)) for number in range(count))


def _configs(hub: HubConfig) -> list[str | None]:
    """The configs of a data set that its section names, of which `*` stands for any letters."""
    if hub.config is None or "*" not in hub.config:
        return [hub.config]
    from datasets import get_dataset_config_names

    with _reached(hub):
        names: list[str] = get_dataset_config_names(hub.id, revision=hub.revision)
    if not (found := sorted(fnmatch.filter(names, hub.config))):
        raise PoolError(f"the data set {hub.id} has no config {hub.config}: it has {listed(names)}")
    return [*found]


def _from_hub(source: Source, shard: Shard) -> Iterator[Raw]:
    hub = source.config.hub
    assert hub is not None and shard.span.end is not None
    columns = {name: column for name, column in source.columns.items() if column.path != CONFIG}
    config = shard.file.removeprefix(hub.id).removeprefix("/") or None
    with _reached(hub):
        part = _stream(hub, config).shard(num_shards=shard.span.end, index=shard.span.start)
        for done, table in _tables(part):
            check_names(columns, table.column_names, shard.file)
            found = select(table, columns, shard.file)
            if CONFIG in (column.path for column in source.columns.values()):
                found = found.append_column(f"{{{CONFIG}}}", pa.repeat(pa.scalar(config, pa.string()), len(table)))
            yield Raw(found, np.arange(done + 1, done + 1 + len(table)))


def _tables(part: Any) -> Iterator[tuple[int, pa.Table]]:
    """(rows before, some rows) of a stream."""
    done = 0
    for table in part.with_format("arrow").iter(batch_size=ROWS):
        yield done, table
        done += len(table)


def _stream(hub: HubConfig, config: str | None) -> Any:
    from datasets import load_dataset

    with _reached(hub):
        return load_dataset(hub.id, config, split=hub.split, revision=hub.revision, streaming=True)


@contextmanager
def _reached(hub: HubConfig) -> Iterator[None]:
    """Tells a data set that cannot be read as what the pool needs."""
    try:
        yield
    except (OSError, ValueError) as error:
        raise NeedsError(
            f"the data set {hub.id} cannot be read: {error}\npool sources on the hub need the network; a gated set "
            "wants its terms accepted there and a token in HF_TOKEN"
        ) from error
