"""Reads files of rows in batches: Parquet, JSONL, JSON arrays, CSV and TSV, the text ones also as .gz and .zst.

A broken row is told with its line and the reading goes on; a file that cannot be read to its end is an error.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.json
import pyarrow.parquet as pq
from numpy.typing import NDArray

from composer.errors import PoolError, UnfinishedError
from composer.pool.sources.columns import Column, NotThatKind, check_names, read_type, select

ROWS = 4096  # of a batch, about
BLOCK = 1 << 22  # bytes of text that are read at once
ROW_BYTES = 1 << 24  # of one row, at most
SHOWN = 2000  # characters of a broken row that are kept
PACKED = (".gz", ".zst")
FORMATS = {".parquet": "parquet", ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "json", ".csv": "csv", ".tsv": "tsv"}


@dataclass(frozen=True)
class Broken:
    """A row that cannot be read: its line, or in a Parquet file its number, from 1; why not; how it begins."""

    line: int
    reason: str
    text: str


@dataclass(frozen=True, eq=False)
class Raw:
    """Some rows of a file.

    Attributes:
        table: (n,) one column for each that was asked for.
        lines: (n,) where each row begins, from 1.
        broken: Rows that stood between them.
    """

    table: pa.Table
    lines: NDArray[np.int64]
    broken: list[Broken] = field(default_factory=list)


def format_of(path: Path) -> str:
    """The format of a file by its name.

    Raises:
        PoolError: The name does not tell.
    """
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in PACKED:
        suffixes.pop()
    if not suffixes or suffixes[-1] not in FORMATS:
        raise PoolError(
            f"{path}: its name must end in one of {', '.join(FORMATS)}, text also in .gz or .zst behind that"
        )
    return FORMATS[suffixes[-1]]


@dataclass(frozen=True)
class Span:
    """A part of a file: row groups of Parquet, or bytes of JSON lines that are not packed.

    Attributes:
        start: The first of them. Of bytes, a line belongs to the part in which it starts.
        end: The one behind the last; None where it is the file's.
        line: Of the first row.
    """

    start: int = 0
    end: int | None = None
    line: int = 1


def read(
    path: Path, columns: Mapping[str, Column], header: list[str] | None = None, span: Span | None = None
) -> Iterator[Raw]:
    """Reads a file, batch by batch.

    Args:
        path: Of the file.
        columns: Name → what of each row becomes the column of that name.
        header: The names of a CSV file's columns, where its first row is not them.
        span: The part to read, which `shards` gives; else all.

    Raises:
        PoolError: The file cannot be read to its end, or no row has one of the columns.
    """
    kind = format_of(path)
    with _reading(path):
        if kind == "parquet":
            yield from _parquet(path, columns, span or Span())
        elif kind == "jsonl":
            yield from _json_lines(path, columns, span or Span())
        elif kind == "json":
            yield from _json(path, columns)
        else:
            yield from _separated(path, columns, kind, header)


def check_file(path: Path, columns: Mapping[str, Column], header: list[str] | None = None) -> None:
    """Checks that a file has all columns that are asked for, as far as it has columns: objects differ row by row.

    Raises:
        PoolError: It lacks one, or has one twice, or cannot be read.
    """
    kind = format_of(path)
    with _reading(path):
        if kind == "parquet":
            check_names(columns, pq.read_schema(path).names, path)
        elif kind in ("csv", "tsv"):
            for _ in _separated(path, columns, kind, header):
                break


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Tells what is wrong with a file; what the system says of it, such as of its disk, may pass."""
    try:
        yield
    except (OSError, EOFError, pa.ArrowException) as error:
        kind = UnfinishedError if isinstance(error, OSError) and error.errno else PoolError
        raise kind(f"{path} cannot be read: {str(error).strip() or type(error).__name__}") from error


def _parquet(path: Path, columns: Mapping[str, Column], span: Span) -> Iterator[Raw]:
    names = sorted({column.name for column in columns.values()})
    with pq.ParquetFile(path) as file:
        held = file.schema_arrow.names
        check_names(columns, held, path)
        names = [name for name in names if name in held]
        done = span.line - 1
        groups = range(span.start, file.num_row_groups if span.end is None else span.end)
        for batch in file.iter_batches(ROWS, groups, columns=names):
            asked = select(pa.table(batch), columns, path)
            yield Raw(asked, np.arange(done + 1, done + 1 + len(batch)))
            done += len(batch)


def _json_lines(path: Path, columns: Mapping[str, Column], span: Span) -> Iterator[Raw]:
    schema, line = read_type(columns), span.line
    for block in _blocks(path, span):
        fast = _at_once(block, columns, schema, line) if schema is not None else None
        yield fast or _one_by_one(_lines(block, line), columns)
        line += block.count(b"\n")


def _blocks(path: Path, span: Span) -> Iterator[bytes]:
    """Whole lines of a part of a file, some megabytes at once."""
    with pa.input_stream(str(path), compression="detect") as packed:
        stream: Any = _Part(path, span) if span != Span() else packed
        rest = b""
        while block := stream.read(BLOCK):
            whole, newline, block = block.rpartition(b"\n")
            if newline:
                yield b"".join([rest, whole, newline])
                rest = block
            else:
                rest += block
        if rest:
            yield rest


class _Part:
    """Reads the lines that start in a part of a file."""

    def __init__(self, path: Path, span: Span) -> None:
        self.file = path.open("rb")
        self.end = path.stat().st_size if span.end is None else span.end
        self.file.seek(max(span.start - 1, 0))
        if span.start:
            self.file.readline()  # the end of a line that starts before

    def read(self, size: int) -> bytes:
        left = self.end - self.file.tell()
        if left <= 0:
            self.file.close()
            return b""
        block = self.file.read(min(size, left))
        return block + self.file.readline() if left <= size and not block.endswith(b"\n") else block


def _at_once(block: bytes, columns: Mapping[str, Column], schema: pa.Schema, line: int) -> Raw | None:
    """All rows of a block by Arrow's reader; None where a row is broken, or not of the kind that is asked for."""
    if b"\x00" in block or not block.isascii() and not _is_text(block):
        return None
    ends = np.flatnonzero(np.frombuffer(block, np.uint8) == 0x0A)
    if np.diff(ends, prepend=-1, append=len(block)).max() > ROW_BYTES:
        return None
    options = pa.json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore")
    reading = pa.json.ReadOptions(block_size=len(block) + 1, use_threads=False)
    try:
        table = pa.json.read_json(io.BytesIO(block), reading, options)
        found = pa.table({name: column.of_table(table) for name, column in columns.items()})
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, NotThatKind):
        return None
    rows = [place for place, one in enumerate(block.split(b"\n")) if one.strip()]
    return Raw(found, line + np.array(rows)) if len(rows) == len(found) else None


def _is_text(block: bytes) -> bool:
    try:
        block.decode()
    except UnicodeDecodeError:
        return False
    return True


def _lines(block: bytes, line: int) -> Iterator[tuple[int, Any]]:
    """(line, the object of the row, or why there is none and how the row begins)."""
    for number, text in enumerate(block.split(b"\n"), line):
        if not text.strip():
            continue
        if len(text) > ROW_BYTES:
            yield number, (f"is {len(text):,} bytes long; at most {ROW_BYTES:,} are read", text)
            continue
        try:
            yield number, json.loads(text.decode())
        except UnicodeDecodeError:
            yield number, ("is not UTF-8", text)
        except (json.JSONDecodeError, RecursionError) as error:
            yield number, (f"is not JSON ({error})", text)


def _one_by_one(rows: Iterator[tuple[int, Any]], columns: Mapping[str, Column]) -> Raw:
    found: dict[str, list[Any]] = {name: [] for name in columns}
    lines, broken = list[int](), list[Broken]()
    for line, record in rows:
        if isinstance(record, tuple):
            reason, text = record
            broken.append(Broken(line, reason, text[:SHOWN].decode(errors="replace")))
            continue
        try:
            if not isinstance(record, dict):
                raise NotThatKind(f"is {type(record).__name__}; a row must be an object")
            values = [column.of_record(record) for column in columns.values()]
        except NotThatKind as error:
            broken.append(Broken(line, str(error), json.dumps(record, ensure_ascii=False)[:SHOWN]))
            continue
        lines.append(line)
        for column, value in zip(found.values(), values, strict=True):
            column.append(value)
    arrays = {name: pa.array(found[name], column.type) for name, column in columns.items()}
    return Raw(pa.table(arrays), np.array(lines, dtype=np.int64), broken)


def _json(path: Path, columns: Mapping[str, Column]) -> Iterator[Raw]:
    """An array of objects; or, as many files of this name are, an object a line."""
    with pa.input_stream(str(path), compression="detect") as stream:
        begins = stream.read(BLOCK).lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
        if begins not in (b"[", b""):
            yield from _json_lines(path, columns, Span())
            return
    rows: list[tuple[int, Any]] = []
    for number, record in enumerate(_elements(path), 1):
        rows.append((number, record))
        if len(rows) == ROWS:
            yield _one_by_one(iter(rows), columns)
            rows = []
    if rows:
        yield _one_by_one(iter(rows), columns)


def _elements(path: Path) -> Iterator[Any]:
    """The elements of a JSON array, of which one at a time is in memory."""
    decoder, text, begun, count = json.JSONDecoder(), "", False, 0
    with pa.input_stream(str(path), compression="detect") as stream:
        lines = io.TextIOWrapper(stream, encoding="utf-8-sig")
        while True:
            try:
                block = lines.read(BLOCK)
            except UnicodeDecodeError as error:
                raise PoolError(f"{path} cannot be read behind element {count}: it is not UTF-8 ({error})") from error
            text += block
            while True:
                text = text.lstrip()
                if not begun and text[:1] == "[":
                    text, begun = text[1:].lstrip(), True
                if text[:1] == "]" or not text:
                    break
                try:
                    element, end = decoder.raw_decode(text)
                except json.JSONDecodeError as error:
                    if block:
                        break  # it may go on in the next block
                    raise PoolError(f"{path} cannot be read behind element {count}: {error}") from error
                left = text[end:].lstrip()
                if not left and block:
                    break  # a number may go on
                if left[:1] not in {",", "]"}:
                    raise PoolError(f"{path} cannot be read behind element {count + 1}: a comma or ] must stand there")
                text, count = left.removeprefix(","), count + 1
                yield element
            if not block:
                if begun and text[:1] != "]":
                    raise PoolError(f"{path} cannot be read behind element {count}: the array does not end")
                return


def _separated(path: Path, columns: Mapping[str, Column], kind: str, header: list[str] | None) -> Iterator[Raw]:
    """CSV or TSV. In a TSV a quote is one like any other character."""
    quoting: Literal[0, 3] = csv.QUOTE_NONE if kind == "tsv" else csv.QUOTE_MINIMAL
    csv.field_size_limit(ROW_BYTES)
    with pa.input_stream(str(path), compression="detect") as stream:
        lines = io.TextIOWrapper(stream, encoding="utf-8-sig", errors="surrogateescape", newline="")
        reader = csv.reader(lines, delimiter="\t" if kind == "tsv" else ",", quoting=quoting, strict=False)
        names = header or next(reader, [])
        check_names(columns, names, path)
        rows: list[tuple[int, Any]] = []
        while True:
            line = reader.line_num + 1
            try:
                cells = next(reader, None)
            except csv.Error as error:
                rows.append((line, (f"cannot be read ({error})", b"")))
                continue
            if cells is None:
                break
            if cells:
                rows.append((line, _record(cells, names)))
            if len(rows) == ROWS:
                yield _one_by_one(iter(rows), columns)
                rows = []
    if rows:
        yield _one_by_one(iter(rows), columns)


def _record(cells: list[str], names: list[str]) -> Any:
    text = ",".join(cells)
    if len(cells) != len(names):
        return f"has {len(cells)} cells; there are {len(names)} columns", text.encode(errors="surrogateescape")
    try:
        text.encode()
    except UnicodeEncodeError:
        return "is not UTF-8", text.encode(errors="surrogateescape")
    return dict(zip(names, cells, strict=True))
