"""From parts to a pool: duplicates are dropped, rows put in order, the index and `pool.json` written."""

from __future__ import annotations

import hashlib
import itertools
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from composer import __version__
from composer.artifacts import write_json
from composer.config_pool import PoolConfig
from composer.errors import PoolError
from composer.pool.curate.drivers import Driver
from composer.pool.curate.gather import (
    Destination,
    Repeats,
    destinations,
    in_order,
    index_table,
    order_table,
    strata_of,
)
from composer.pool.curate.parts import Part, read_keys
from composer.pool.curate.weed import REASONS, duplicates
from composer.pool.duplicates.same import Places
from composer.pool.store import write_arrow, write_table

VERSION = 3
SLICE = 1 << 16
INDEX_GROUP = 1 << 13  # rows of the index that are read for one id


def finish(
    folder: Path, config: PoolConfig, parts: Sequence[Part], facts: dict[str, Any], drive: Driver,
    told: Callable[[str, int, int], None],
) -> None:  # fmt: skip
    """Writes `rows/*`, `rejects/duplicates-*`, `index.parquet`, `order.arrow` and `pool.json` below `folder`.

    Args:
        folder: Of the pool.
        config: Of the pool.
        parts: All that is kept so far.
        facts: What `pool.json` says beside; `sources` holds `read` and `rejects` of each.
        drive: What runs the writing.
        told: Is told how far it is.

    Raises:
        PoolError: No row is kept.
    """
    keys = read_keys(parts)
    told("looking for duplicates", 0, 1)
    kept, why = duplicates(parts, keys, config, folder)
    told("looking for duplicates", 1, 1)
    order = in_order(keys, kept)
    if not len(order):
        raise PoolError(f"pool {config.name} has no rows: {_why_none(facts['sources'])}")
    sizes = [part.size for part in parts]
    files = destinations(parts, sizes, order, keys["n_chars"].to_numpy()[order].astype(np.int64))
    thrown = _repeats(parts, sizes, keys, config, kept, why)
    work: list[Destination | Repeats] = [*files, *thrown]
    done = 0

    def advance() -> None:
        nonlocal done
        done += 1
        told("writing", done, len(work))

    drive(partial(_write, folder), work, advance)
    index = index_table(keys, order)
    write_table(folder / "index.parquet", index, INDEX_GROUP)
    write_arrow(folder / "order.arrow", order_table(keys, order))
    facts["row_files"] = [len(one.order) for one in files]
    facts["unmet_filters"] = _unmet_filters(folder, config, keys)
    write_json(folder / "pool.json", _facts(config, keys, index, order, kept, why, facts))


def _unmet_filters(folder: Path, config: PoolConfig, keys: pa.Table) -> list[str]:
    """The categories with filters of which no row was read, be it kept or thrown out."""
    unmet = set(config.filters) - set(keys["category"].combine_chunks().dictionary.to_pylist())
    for file in (folder / "rejects").glob("*.parquet") if unmet else ():
        unmet -= set(pc.unique(pq.read_table(file, columns=["category"])["category"]).to_pylist())
    return sorted(unmet)


def _why_none(sources: Mapping[str, Any]) -> str:
    """What became of the rows of sources of which none is kept."""
    if not any(of["read"] for of in sources.values()):
        return "the files hold none"
    told = [
        f"{name} {', '.join(f'{count:,} {reason}' for reason, count in Counter(of['rejects']).most_common(3))}"
        for name, of in sources.items()
        if of["rejects"]
    ]
    return f"all were thrown out: {'; '.join(told)}. Correct the columns or the filters of the pool"


def _write(folder: Path, one: Destination | Repeats) -> None:
    one.write(folder)


def _repeats(
    parts: Sequence[Part], sizes: Sequence[int], keys: pa.Table, config: PoolConfig, kept: Places, why: Places
) -> list[Repeats]:
    """What is thrown out of each part."""
    names, found, start = list(config.sources), list[Repeats](), 0
    ids, sections = keys["id"].combine_chunks(), keys["section"].to_numpy()
    for number, (part, size) in enumerate(zip(parts, sizes, strict=True)):
        places = np.flatnonzero(kept[start : start + size] >= 0)
        if len(places):
            at = places + start
            section = names[int(sections[start])]
            found.append(Repeats(number, part, section, places, why[at], ids.take(pa.array(kept[at]))))
        start += size
    return found


def _facts(
    config: PoolConfig, keys: pa.Table, index: pa.Table, order: Places, kept: Places, why: Places, facts: dict[str, Any]
) -> dict[str, Any]:
    stratum, names = strata_of(keys)
    counts = np.bincount(stratum[order], minlength=len(names))
    tokens = index["n_tokens"].to_numpy()
    sections = keys["section"].to_numpy()
    sources = dict(facts.pop("sources"))
    for place, name in enumerate(config.sources):
        mine = sections == place
        rejects = Counter(sources[name]["rejects"])
        for kind, reason in enumerate(REASONS):
            if repeats := int((mine & (why == kind)).sum()):
                rejects[reason] += repeats
        sources[name] = {
            **sources[name],
            "kept": int((mine & (kept < 0)).sum()),
            "tokens": int(keys["n_tokens"].to_numpy()[mine & (kept < 0)].sum(dtype=np.int64)),
            "rejects": dict(sorted(rejects.items())),
        }
    strata = {pair: int(count) for pair, count in zip(names, counts, strict=True) if count}
    return {
        "version": VERSION,
        "composer": __version__,
        "name": config.name,
        "digest": _digest(index),
        "rows": len(order),
        "duplicates": int((kept >= 0).sum()),
        "tokens": int(tokens.sum(dtype=np.int64)),
        "tokenizer": config.tokenizer,
        "categories": {
            category: {name: count for (_, name), count in group}
            for category, group in itertools.groupby(strata.items(), key=lambda one: one[0][0])
        },
        "modes": dict(sorted(Counter(index["mode"].to_pylist()).items())),
        "sources": sources,
        **facts,
    }


def _digest(index: pa.Table) -> str:
    """The SHA-256 of each row's id and tokens, a line a row."""
    found = hashlib.sha256()
    for start in range(0, len(index), SLICE):
        part = index.slice(start, SLICE)
        pairs = zip(part["id"].to_pylist(), part["n_tokens"].to_pylist(), strict=True)
        lines = "\n".join(f"{name} {count}" for name, count in pairs)
        found.update((("\n" if start else "") + lines).encode())
    return found.hexdigest()
