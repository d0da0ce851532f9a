"""The parts that sources are read in, side by side and each by itself: the same however many read them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from composer.config_pool import HubConfig
from composer.errors import NeedsError, PoolError
from composer.pool.sources.columns import NotThatKind
from composer.pool.sources.declared import Source
from composer.pool.sources.reading import PACKED, ROWS, Raw, Span, format_of, read

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
    parts = [
        (source.name, *part)
        for source in sources
        for part in (_of_hub(source.config.hub) if source.config.hub is not None else _of_files(source, path))
    ]
    return [Shard(number, *part) for number, part in enumerate(parts)]


def files(source: Source, path: str | None) -> list[Path]:
    """The files of a source, sorted by pattern, then by name.

    Raises:
        PoolError: A pattern has none.
    """
    below = Path(str(path)).expanduser()
    if below.is_file():
        return [below]
    found = list[Path]()
    for pattern in source.config.files:
        some = sorted(file for file in below.glob(pattern) if file.is_file() and file not in found)
        if not some and len(source.config.files) == 1 or not below.is_dir():
            raise PoolError(
                f"pool.sources.{source.name}.files: {pattern} names no file below {below}; "
                "correct it, or pool.path, which COMPOSER_DATA sets"
            )
        found += some
    if not found:
        raise PoolError(f"pool.sources.{source.name}.files: {', '.join(source.config.files)} name no file in {below}")
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
    count = _stream(hub).num_shards
    name = hub.id if hub.config is None else f"{hub.id}/{hub.config}"
    yield from ((name, Span(number, count)) for number in range(count))


def _from_hub(source: Source, shard: Shard) -> Iterator[Raw]:
    assert source.config.hub is not None and shard.span.end is not None
    part = _stream(source.config.hub).shard(num_shards=shard.span.end, index=shard.span.start)
    done = 0
    for table in part.with_format("arrow").iter(batch_size=ROWS):
        names = {column.steps[0].removesuffix("[]") for column in source.columns.values()}
        if absent := sorted(names - set(table.column_names)):
            raise PoolError(
                f"{shard.file} has no column {', '.join(absent)}: it has {', '.join(table.column_names)}"
            )
        try:
            asked = pa.table({name: column.of_table(table) for name, column in source.columns.items()})
        except NotThatKind as error:
            raise PoolError(f"{shard.file}: {error}") from error
        yield Raw(asked, np.arange(done + 1, done + 1 + len(table)))
        done += len(table)


def _stream(hub: HubConfig) -> Any:
    from datasets import load_dataset

    try:
        return load_dataset(hub.id, hub.config, split=hub.split, revision=hub.revision, streaming=True)
    except (OSError, ValueError) as error:
        raise NeedsError(
            f"the data set {hub.id} cannot be read: {error}\npool sources on the hub need the network; a gated set wants "
            "its terms accepted there and a token in HF_TOKEN"
        ) from error
