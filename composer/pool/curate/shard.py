"""Curates one shard: reads, makes messages, filters, counts and hashes; a pure function of the shard and the config."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from composer.config_pool import PoolConfig
from composer.pool.contamination import Contamination
from composer.pool.curate.content import asked_and_all, content_ids, hex_ids, sampling_hashes
from composer.pool.curate.modes import modes, without_thinking
from composer.pool.curate.parts import Part
from composer.pool.curate.rejects import REJECT_SCHEMA, broken_rows, rejected_rows
from composer.pool.duplicates import hashed, normalised, signatures
from composer.pool.duplicates.near import band_keys
from composer.pool.filters import Batch, first_reasons
from composer.pool.sources.declared import Source
from composer.pool.sources.labels import MODE
from composer.pool.sources.reading import Raw
from composer.pool.sources.shards import Shard, read_shard

PART_ROWS = 1 << 16
PART_BYTES = 1 << 26
Count = Callable[[pa.ListArray], NDArray[np.int64]]


@dataclass(frozen=True, eq=False)
class Curator:
    """What curating takes beside a shard.

    Attributes:
        config: Of the pool.
        count: The tokens of each row's messages.
        contamination: The items of benchmarks, None where none are looked for.
        families: Family of sources → the benchmarks that have it, of those that are looked for.
    """

    config: PoolConfig
    count: Count
    contamination: Contamination | None = None
    families: dict[str, str] = field(default_factory=dict)

    def shard(self, shard: Shard, folder: Path) -> None:
        """Writes `parts/*`, `rejects/*` and, when all is there, `done/NUMBER.json` below `folder`."""
        source = Source(shard.source, self.config.sources[shard.source])
        kept, rejects, waiting, parts, read = list[pa.Table](), list[pa.Table](), 0, 0, 0
        for rows, rejected, seen in self._batches(source, shard):
            read += seen
            rejects.append(rejected)
            if len(rows):
                kept.append(rows)
                waiting += rows.nbytes
            if waiting > PART_BYTES or sum(map(len, kept)) >= PART_ROWS:
                self._part(source, kept, folder / "parts" / f"{shard.number:06d}-{parts:04d}.rows.arrow")
                kept, waiting, parts = [], 0, parts + 1
        if kept:
            self._part(source, kept, folder / "parts" / f"{shard.number:06d}-{parts:04d}.rows.arrow")
            parts += 1
        thrown = pa.concat_tables([REJECT_SCHEMA.empty_table(), *rejects])
        path = folder / "rejects" / f"{shard.number:06d}.parquet"
        write_parquet(path, thrown, 1024)
        reasons = Counter(thrown["reason"].to_pylist())
        told = {"read": read, "parts": parts, "source": source.name, "rejects": dict(sorted(reasons.items()))}
        done = folder / "done" / f"{shard.number:06d}.json"
        beside = done.with_suffix(f".{os.getpid()}")
        beside.write_text(json.dumps(told, ensure_ascii=False))
        beside.rename(done)

    def _batches(self, source: Source, shard: Shard) -> Iterator[tuple[pa.Table, pa.Table, int]]:
        """(rows that are kept, rejects, rows that were read), batch by batch."""
        file = shard.file
        below = Path(str(self.config.path)).expanduser() if self.config.path else None
        if source.config.hub is None and below is not None and below.is_dir():
            file = Path(file).relative_to(below).as_posix()
        for raw in read_shard(source, shard):
            rows, rejected = self._rows(source, raw, file)
            broken = broken_rows(source.name, file, raw.broken)
            yield rows, pa.concat_tables([broken, rejected]), len(raw.table) + len(raw.broken)

    def _rows(self, source: Source, raw: Raw, file: str) -> tuple[pa.Table, pa.Table]:
        table, problems = source.rows(raw)
        lines = raw.lines
        bad = problems != None  # noqa: E711  # element by element
        thrown = [_rejected(source, file, lines, table, bad, ["row"] * len(table), problems.tolist())]
        table, lines = table.filter(pa.array(~bad)), lines[~bad]
        if self.families.get(source.config.family or ""):
            told = self.families[str(source.config.family)]
            every = np.ones(len(table), dtype=bool)
            reasons = ["contamination: family"] * len(table)
            thrown.append(_rejected(source, file, lines, table, every, reasons, [told] * len(table)))
            table, lines = table.slice(0, 0), lines[:0]
        batch = Batch(table, self.count)
        place, names = self._filtered(source, batch)
        out = place >= 0
        reasons = [names[at] if at >= 0 else "" for at in place]
        thrown.append(_rejected(source, file, lines, table, out, reasons, [None] * len(table)))
        table, lines = table.filter(pa.array(~out)), lines[~out]
        if self.contamination is not None and len(table):
            found = {
                one.row: self.contamination.items[one.item]
                for one in self.contamination.find(asked_and_all(_messages(table))[1])
            }
            gives = np.isin(np.arange(len(table)), list(found))
            reasons = [
                f"contamination: {found[row].benchmark}" if row in found else "" for row in range(len(table))
            ]
            items = [found[row].id if row in found else None for row in range(len(table))]
            thrown.append(_rejected(source, file, lines, table, gives, reasons, items))
            table, lines = table.filter(pa.array(~gives)), lines[~gives]
        return self._finished(source, table, lines, file), pa.concat_tables(thrown)

    def _filtered(self, source: Source, batch: Batch) -> tuple[NDArray[np.int64], list[str]]:
        place, names = first_reasons(batch, {name: of or {} for name, of in source.config.filters.items()})
        categories = batch.table["category"].combine_chunks()
        for category in sorted(set(pc.unique(categories).to_pylist()) & set(self.config.filters)):
            of = self.config.filters[category]
            more, others = first_reasons(batch, {name: given or {} for name, given in of.items()})
            here = np.asarray(pc.equal(categories, category)) & (place < 0) & (more >= 0)
            place[here] = more[here] + len(names)
            names = [*names, *others]
        return place, names

    def _finished(self, source: Source, table: pa.Table, lines: NDArray[np.int64], file: str) -> pa.Table:
        """Rows as parts have them, and their ids in bytes."""
        messages, asked = _messages(table), source.config.no_think
        categories = table["category"].combine_chunks()
        ids = content_ids(messages, categories)
        if asked.share > 0 and len(table):
            drawn = sampling_hashes(hex_ids(ids)).astype(float) / 2.0**64 < asked.share
            thinks = np.asarray(pc.equal(modes(messages), "think"))
            messages = without_thinking(messages, asked, drawn & thinks)
            ids = content_ids(messages, categories)
        mode, strata = modes(messages), table["stratum"].combine_chunks()
        if source.config.stratum.find(MODE) >= 0:
            each = [pc.replace_substring(strata, MODE, name) for name in ("think", "no_think")]
            strata = pc.if_else(pc.equal(mode, "think"), *each)
        batch = Batch(pa.table({"messages": messages}))
        chars = batch.by_row(np.asarray(pc.utf8_length(batch.contents)))
        return pa.table(
            {
                "raw_id": ids,
                "id": hex_ids(ids),
                "messages": messages,
                "category": categories,
                "stratum": strata,
                "source": table["source"],
                "mode": mode,
                "n_tokens": pa.array(self.count(messages), pa.int32()),
                "n_chars": pa.array(chars, pa.int32()),
                "file": pa.repeat(pa.scalar(file, pa.string()), len(table)),
                "line": pa.array(lines, pa.int64()),
            }
        )

    def _part(self, source: Source, tables: list[pa.Table], path: Path) -> None:
        rows = pa.concat_tables(tables)
        kinds, size = source.config.duplicates, len(rows)
        asked, every = asked_and_all(rows["messages"].combine_chunks())
        section = list(self.config.sources).index(source.name)
        keys = pa.table(
            {
                "id": rows["raw_id"],
                "hash": pa.array(sampling_hashes(rows["id"].combine_chunks())),
                **{name: rows[name].dictionary_encode() for name in ("category", "stratum", "source", "mode")},
                "n_tokens": rows["n_tokens"],
                "n_chars": rows["n_chars"],
                "section": pa.array(np.full(size, section), pa.int32()),
                "prompt_key": pa.array(hashed(normalised(asked))),
                "row_key": pa.array(hashed(normalised(every))),
                **{f"by_{kind}": pa.array(np.full(size, kind in kinds)) for kind in ("prompt", "row", "near")},
            }
        )
        near = None
        if "near" in kinds:
            told = signatures(asked if self.config.duplicates.near_of == "prompt" else every)
            bands = {f"band_{place:02d}": pa.array(of) for place, of in enumerate(band_keys(told))}
            small = np.ascontiguousarray(told.astype(np.uint8))
            packed = pa.FixedSizeBinaryArray.from_buffers(
                pa.binary(small.shape[1]), size, [None, pa.py_buffer(small.tobytes())]
            )
            near = pa.table({"signature": packed, **bands})
        Part(path).write(rows.drop_columns("raw_id"), keys, near)


def write_parquet(path: Path, table: pa.Table, group: int) -> None:
    """Writes a Parquet file, whole or not at all."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    pq.write_table(table, beside, row_group_size=group, compression="zstd")
    beside.rename(path)


def _messages(table: pa.Table) -> pa.ListArray:
    return table["messages"].combine_chunks()


def _rejected(
    source: Source, file: str, lines: NDArray[np.int64], table: pa.Table, out: NDArray[np.bool_],
    reasons: list[str], details: list[Any],
) -> pa.Table:  # fmt: skip
    places = np.flatnonzero(out)
    if not len(places):
        return REJECT_SCHEMA.empty_table()
    some = table.take(pa.array(places))
    told = [reasons[at] for at in places], [details[at] for at in places]
    return rejected_rows(source.name, file, lines[places], some, *told)
