"""Curates one shard: reads, makes messages, filters, counts and hashes; a pure function of the shard and the config."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from composer.artifacts import write_json
from composer.config_pool import PoolConfig
from composer.pool.arrays import hex_ids
from composer.pool.contamination import Contamination
from composer.pool.curate.content import asked_and_all, content_ids, sampling_hashes
from composer.pool.curate.finished import PART_BYTES, PART_ROWS, Count, finished_rows, write_part
from composer.pool.curate.modes import THINK, modes, without_thinking
from composer.pool.curate.rejects import REJECT_GROUP, REJECT_SCHEMA, broken_rows, rejected_rows
from composer.pool.filters import Batch, first_reasons
from composer.pool.sources.declared import Source
from composer.pool.sources.reading import Raw
from composer.pool.sources.shards import Shard, of_source, read_shard
from composer.pool.store import write_table


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
        with of_source(source.name):
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
        write_table(folder / "rejects" / f"{shard.number:06d}.parquet", thrown, REJECT_GROUP)
        reasons = Counter(thrown["reason"].to_pylist())
        told = {"read": read, "parts": parts, "source": source.name, "rejects": dict(sorted(reasons.items()))}
        write_json(folder / "done" / f"{shard.number:06d}.json", told)

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
        table, stages = source.rows(raw)
        lines, bad, thrown = raw.lines, np.zeros(len(table), dtype=bool), list[pa.Table]()
        for stage, problems in stages.items():
            here = np.array([one is not None for one in problems], dtype=bool) & ~bad
            reason = "where: not asked for" if stage == "where" else f"no {stage}"
            thrown.append(_rejected(source, file, lines, table, here, [reason] * len(table), problems.tolist()))
            bad |= here
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
            reasons = [f"contamination: {found[row].benchmark}" if row in found else "" for row in range(len(table))]
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
        """Rows as parts have them, some without their thinking."""
        messages, asked = _messages(table), source.config.no_think
        categories = table["category"].combine_chunks()
        if asked.share > 0 and len(table):
            drawn = sampling_hashes(hex_ids(content_ids(messages, categories))).astype(float) / 2.0**64 < asked.share
            thinks = np.asarray(pc.equal(modes(messages), THINK))
            messages = without_thinking(messages, asked, drawn & thinks)
        strata = table["stratum"].combine_chunks()
        return finished_rows(messages, categories, strata, table["source"].combine_chunks(), self.count, (file, lines))

    def _part(self, source: Source, tables: list[pa.Table], path: Path) -> None:
        section = list(self.config.sources).index(source.name)
        write_part(path, pa.concat_tables(tables), section, source.config.duplicates, self.config.duplicates.near_of)


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
