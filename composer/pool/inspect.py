"""Rows of a pool to look at: of any category, stratum, mode or source, or thrown out for any reason."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from composer.checks import listed
from composer.errors import RequestError
from composer.pool.store import Pool

ALL = "all"  # any reason


@dataclass(frozen=True)
class Asked:
    """Which rows to show; None is any.

    Attributes:
        category: Of the pool.
        stratum: Of the pool.
        mode: think or no_think.
        source: Of the rows; of rows that were thrown out, the name of the source's section.
        reason: Rows that were thrown out for a reason that begins so, or for any; None is rows that were kept.
        rows: How many.
        seed: Which of them.
    """

    category: str | None = None
    stratum: str | None = None
    mode: str | None = None
    source: str | None = None
    reason: str | None = None
    rows: int = 3
    seed: int = 0

    @classmethod
    def names(cls) -> list[str]:
        """The names of its fields."""
        return [one.name for one in fields(cls)]


def inspect(pool: Pool, asked: Asked) -> pa.Table:
    """Rows of a pool with `ROW_SCHEMA`'s columns, or thrown out of it with `REJECT_SCHEMA`'s.

    Raises:
        RequestError: There is no such row; what there is is told.
    """
    return _kept(pool, asked) if asked.reason is None else _thrown_out(pool, asked)


def _kept(pool: Pool, asked: Asked) -> pa.Table:
    wanted = {name: getattr(asked, name) for name in ("category", "stratum", "mode", "source")}
    wanted = {name: value for name, value in wanted.items() if value is not None}
    index = pq.read_table(pool.path / "index.parquet", columns=["category", "stratum", "mode", "source"])
    takes = np.ones(len(index), dtype=bool)
    for name, value in wanted.items():
        here = np.asarray(pc.equal(index[name].cast(pa.string()), value).combine_chunks())
        if not here.any():
            known = pc.unique(index[name].cast(pa.string())).to_pylist()
            raise RequestError(f"--{name} is {value}: the pool has {_told(known)}")
        takes &= here
    if not takes.any():
        asked_for = ", ".join(f"{name} {value}" for name, value in wanted.items())
        raise RequestError(f"the pool has no row of {asked_for} together: leave one of them out")
    return pool.take(np.sort(_some(np.flatnonzero(takes), asked)))


def _thrown_out(pool: Pool, asked: Asked) -> pa.Table:
    if asked.stratum is not None or asked.mode is not None:
        raise RequestError("--reason shows rows that were thrown out, which have no stratum and mode: leave these out")
    found, known = dict[Path, NDArray[np.int64]](), set[str]()
    for file in sorted((pool.path / "rejects").glob("*.parquet")):
        told = pq.read_table(file, columns=["source", "reason", "category"])
        reasons = told["reason"].combine_chunks()
        takes = np.ones(len(told), dtype=bool)
        if asked.reason != ALL:
            takes &= np.asarray(pc.starts_with(reasons, asked.reason))
        for name in ("source", "category"):
            if (value := getattr(asked, name)) is not None:
                takes &= np.asarray(pc.fill_null(pc.equal(told[name].combine_chunks(), value), False))
        known.update(pc.unique(reasons).to_pylist())
        found[file] = np.flatnonzero(takes)
    if not known:
        raise RequestError(f"--reason is {asked.reason}: nothing was thrown out of this pool")
    ends = np.cumsum([len(places) for places in found.values()])
    if not ends[-1]:
        raise RequestError(f"--reason is {asked.reason}: nothing like it was thrown out; reasons are {_told(known)}")
    chosen = np.sort(_some(np.arange(ends[-1]), asked))
    of_file = np.split(chosen, np.searchsorted(chosen, ends[:-1]))
    starts = np.concatenate([[0], ends[:-1]])
    return pa.concat_tables(
        pq.read_table(file).take(pa.array(places[some - start]))
        for (file, places), some, start in zip(found.items(), of_file, starts, strict=True)
        if len(some)
    ).combine_chunks()


def _some(places: NDArray[np.int64], asked: Asked) -> NDArray[np.int64]:
    if asked.rows < 1:
        raise RequestError(f"--rows is {asked.rows}: it must be at least 1")
    if asked.seed < 0:
        raise RequestError(f"--seed is {asked.seed}: it must be at least 0")
    random = np.random.default_rng(asked.seed)
    return places if len(places) <= asked.rows else random.choice(places, asked.rows, replace=False)


def _told(names: Iterable[str]) -> str:
    told = sorted(names)
    return listed(told[:40]) + (f" and {len(told) - 40} more" if len(told) > 40 else "")
