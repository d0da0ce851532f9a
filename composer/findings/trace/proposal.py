"""The filter that would have kept rows out, and what else it would throw out."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from composer.config_pool import PoolConfig
from composer.findings.trace.features import HANGUL, TOKENS, rejected
from composer.findings.trace.found import Cause, Count, Proposal, Removed
from composer.findings.trace.rows import COLUMNS, Filters, RowFiles
from composer.findings.trace.separation import Mask
from composer.pool.open import pool_here

MOST = 0.25  # of the other rows of a category that a filter may throw out: beyond, it is a choice of another kind

Told = Callable[[str, int, int | None], None]


def propose(
    found: Iterable[tuple[Cause, Mask]],
    step: pa.Table,
    mixture: RowFiles,
    config: PoolConfig | None,
    pool_digest: str,
    declared: Mapping[str, Filters],
    told: Told,
) -> tuple[Proposal | None, Mask]:
    """The filter of the first cause that has one which throws out few rows beside those of the steps.

    Args:
        found: What stands out, the best first, each with (n,) which of the steps' rows it is true of.
        step: (n,) the steps' rows with `COLUMNS`.
        mixture: The mixture's rows.
        config: The pool's config, None where it is not known.
        pool_digest: Of the pool that the mixture was composed from.
        declared: Category → filters of the pool's config, its sources' too.
        told: Is told how far it is.

    Returns:
        The proposal, and (n,) whether each of the steps' rows is thrown out.
    """
    for cause, true_of in found:
        mine = sorted(set(step["category"].filter(pa.array(true_of)).to_pylist()))
        asked = {category: of for category in mine if (of := _filter(cause, declared.get(category, {})))}
        if not asked:
            continue
        every = _removed(mixture, asked, lambda done: told("filtering the mixture", done, len(mixture))).categories
        here = _counted(step, asked).categories
        asked = {category: of for category, of in asked.items() if _few(every[category], here[category])}
        out = rejected(step, asked)
        if not out.any():
            continue
        of_mixture = Removed(
            len(mixture), sum(every[name].removed for name in asked), {name: every[name] for name in asked}
        )
        of_pool, untold = _of_pool(config, pool_digest, asked, told)
        return Proposal(
            filter=next(name for filters in asked.values() for name in filters),
            parameters={category: dict(of) for category, filters in asked.items() for of in filters.values()},
            yaml=_yaml({} if config is None else config.filters, asked),
            because=cause.feature,
            step=_counted(step, asked),
            mixture=of_mixture,
            pool=of_pool,
            untold=untold,
        ), out
    return None, np.zeros(len(step), dtype=bool)


def _filter(cause: Cause, declared: Filters) -> Filters:
    """The filter that a cause asks for, in a category with these filters; empty where it asks for none."""
    if cause.filter is not None:
        return {cause.filter: declared.get(cause.filter, {})}
    cut, above = cause.separated.cut, cause.separated.above
    if cut is None:
        return {}
    if cause.feature == TOKENS:
        return {"tokens": {"most": math.ceil(cut) - 1} if above else {"least": math.floor(cut) + 1}}
    if above:
        return {}
    share = math.floor(cut * 100 + 1) / 100  # the next hundredth: rows at the cut have less
    name = HANGUL[cause.feature][1]
    language = {"language": "korean"} if name == "thinking_language" else {}
    return {name: {**declared.get(name, {}), **language, "share": share}}


def _few(every: Count, here: Count) -> bool:
    """Whether few of a category's rows that are not the steps' are thrown out."""
    return every.removed - here.removed <= MOST * (every.rows - here.rows)


def _counted(rows: pa.Table, asked: Mapping[str, Filters]) -> Removed:
    out = rows.filter(pa.array(rejected(rows, asked)))
    every, thrown = (Counter(dict(zip(*_counts(table), strict=True))) for table in (rows, out))
    return Removed(len(rows), len(out), {name: Count(every[name], thrown[name]) for name in asked})


def _counts(rows: pa.Table) -> tuple[list[str], list[int]]:
    told = pc.value_counts(rows["category"].combine_chunks())
    return told.field("values").to_pylist(), told.field("counts").to_pylist()


def _removed(rows: RowFiles, asked: Mapping[str, Filters], told: Callable[[int], None]) -> Removed:
    counts = list(rows.each(lambda table: _counted(table, asked), COLUMNS, told))
    of_categories = {
        name: Count(*(sum(getattr(one.categories[name], what) for one in counts) for what in ("rows", "removed")))
        for name in asked
    }
    return Removed(sum(one.rows for one in counts), sum(one.removed for one in counts), of_categories)


def _of_pool(
    config: PoolConfig | None, digest: str, asked: Mapping[str, Filters], told: Told
) -> tuple[Removed | None, str | None]:
    """What the filter throws out of the pool; or why it is not known."""
    if config is None:
        return None, "the run's config.yaml, which names it, is absent or another composer's"
    pool = pool_here(config)
    if pool is None:
        return None, f"pool={config.name} is not built on this machine"
    if pool.digest != digest:
        return None, f"{pool.path} holds another pool than the one that the mixture is from"
    rows = RowFiles(pool.path / "rows")
    return _removed(rows, asked, lambda done: told("filtering the pool", done, len(rows))), None


def _yaml(declared: Mapping[str, Filters], asked: Mapping[str, Filters]) -> str:
    """Lines of a pool's `filters:`, as conf/pool/ko_r1_3.yaml has them."""
    lines = []
    for category, filters in asked.items():
        every = {**declared.get(category, {}), **filters}
        lines.append(f"{_plain(category)}: {{{', '.join(f'{name}: {_flow(of or {})}' for name, of in every.items())}}}")
    return "\n".join(lines)


def _flow(given: Mapping[str, Any]) -> str:
    return f"{{{', '.join(f'{name}: {json.dumps(value)}' for name, value in given.items())}}}" if given else ""


def _plain(name: str) -> str:
    return name if name.replace("_", "a").isalnum() else json.dumps(name, ensure_ascii=False)
