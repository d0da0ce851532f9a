"""A pool as tables in the terminal: where its rows are from, why others were thrown out, what it holds; and rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from composer.checks import counted, listed
from composer.report.plain import plain_table

SHOWN = 1500  # characters of a turn
STRATA = 12  # of a category that are listed
NOTHING = "–"


def show_pool(facts: Mapping[str, Any], console: Console) -> None:
    """Prints `pool.json`."""
    # Not a table's title, which would be broken to the table's width.
    told = f"{facts['name']}: {counted(facts['rows'], 'row')}, {counted(facts['tokens'], 'token')}"
    console.print(Text(told, style="bold"), "", _categories(facts))
    if facts.get("sources"):
        console.print("", _sources(facts["sources"]))
        rejects = _rejects(facts["sources"])
        if rejects.row_count:
            console.print("", rejects)
    for category in facts.get("unmet_filters", ()):
        told = f"pool.filters.{category} met no row: the pool has {listed(facts['categories'])}"
        console.print(Text(f"\n{told}", style="yellow"), soft_wrap=True)


def show_rows(rows: pa.Table, console: Console) -> None:
    """Prints rows turn by turn, those that were thrown out with why."""
    for row in rows.to_pylist():
        console.print()
        console.print(Text(_head(row), style="bold blue"))
        if row.get("detail"):
            console.print(Text(str(row["detail"])), style="yellow")
        for turn in row["messages"] or []:
            console.print(Text(f"{turn['role']}: ", style="bold") + Text(_cut(turn["content"])))
        if row.get("text"):
            console.print(Text(_cut(row["text"])))


def _head(row: Mapping[str, Any]) -> str:
    if "reason" in row:
        return f"{row['reason']} · {row['source']} · {row['file']}:{row['line']}"
    kind = f"{row['category']} / {row['stratum']} · {row['mode']} · {row['source']}"
    return f"{kind} · {counted(row['n_tokens'], 'token')} · {row['id']}"


def _cut(text: str) -> str:
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}… (+ {counted(len(text) - SHOWN, 'character')})"


def _categories(facts: Mapping[str, Any]) -> Table:
    table = plain_table("categories", "category", "rows", "strata")
    table.columns[2].justify = "left"
    for name, strata in facts["categories"].items():
        leading = sorted(strata.items(), key=lambda one: -one[1])[:STRATA]
        told = ", ".join(f"{stratum} {count:,}" for stratum, count in leading)
        more = f" and {len(strata) - STRATA} more" if len(strata) > STRATA else ""
        table.add_row(escape(name), f"{sum(strata.values()):,}", escape(told + more))
    return table


def _sources(sources: Mapping[str, Any]) -> Table:
    table = plain_table("sources", "source", "read", "kept", "thrown out", "tokens")
    for name, of in sources.items():
        thrown = sum(of["rejects"].values())
        table.add_row(
            escape(name), *(f"{n:,}" if n else NOTHING for n in (of["read"], of["kept"], thrown, of["tokens"]))
        )
    if len(sources) > 1:
        kept, tokens = (sum(of[what] for of in sources.values()) for what in ("kept", "tokens"))
        read = sum(of["read"] for of in sources.values())
        table.add_row("all", f"{read:,}", f"{kept:,}", f"{read - kept:,}", f"{tokens:,}", style="bold")
    return table


def _rejects(sources: Mapping[str, Any]) -> Table:
    table = plain_table("thrown out", "source", "reason", "rows")
    table.columns[1].justify = "left"
    for name, of in sources.items():
        shown = escape(name)
        for reason, count in sorted(of["rejects"].items(), key=lambda one: -one[1]):
            table.add_row(shown, escape(reason), f"{count:,}")
            shown = ""
    return table
