"""Rows of a pool to look at: of any category, stratum, mode or source, or thrown out for any reason."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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
        raise RequestError(f"the pool has no row of {_together(wanted)}")
    return pool.take(np.sort(_some(np.flatnonzero(takes), asked)))


def _thrown_out(pool: Pool, asked: Asked) -> pa.Table:
    if asked.stratum is not None or asked.mode is not None:
        raise RequestError("--reason shows rows that were thrown out, which have no stratum and mode: leave these out")
    found = dict[Path, NDArray[np.int64]]()
    known = {name: set[str]() for name in ("reason", "source", "category")}
    met = dict.fromkeys(known, False)
    for file in sorted((pool.path / "rejects").glob("*.parquet")):
        told = pq.read_table(file, columns=list(known))
        takes = np.ones(len(told), dtype=bool)
        for name, values in known.items():
            here = _is_asked(told[name].combine_chunks(), getattr(asked, name), begins=name == "reason")
            takes &= here
            met[name] |= bool(here.any())
            values.update(pc.unique(told[name]).drop_null().to_pylist())
        found[file] = np.flatnonzero(takes)
    if not known["reason"]:
        raise RequestError(f"--reason is {asked.reason}: nothing was thrown out of this pool")
    for name, values in known.items():
        if not met[name]:
            raise RequestError(
                f"--{name} is {getattr(asked, name)}: nothing of that {name} was thrown out; what was is of "
                f"{_told(values) or 'none'}"
            )
    ends = np.cumsum([len(places) for places in found.values()])
    if not ends[-1]:
        wanted = {name: getattr(asked, name) for name in known}
        raise RequestError(f"no row was thrown out that is of {_together(wanted)}")
    chosen = np.sort(_some(np.arange(ends[-1]), asked))
    of_file = np.split(chosen, np.searchsorted(chosen, ends[:-1]))
    starts = np.concatenate([[0], ends[:-1]])
    return pa.concat_tables(
        pq.read_table(file).take(pa.array(places[some - start]))
        for (file, places), some, start in zip(found.items(), of_file, starts, strict=True)
        if len(some)
    ).combine_chunks()


def _is_asked(values: pa.Array, wanted: str | None, begins: bool) -> NDArray[np.bool_]:
    """(n,) which values are those that are wanted, or begin so; None and ALL are any."""
    if wanted is None or begins and wanted == ALL:
        return np.ones(len(values), dtype=bool)
    like = pc.starts_with(values, wanted) if begins else pc.equal(values, wanted)
    return np.asarray(pc.fill_null(like, False))


def _together(wanted: Mapping[str, str | None]) -> str:
    told = ", ".join(f"{name} {value}" for name, value in wanted.items() if value is not None)
    return f"{told} together: leave one of them out"


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
