"""The plain table of plans and pools in the terminal."""

from __future__ import annotations

from rich.markup import escape
from rich.table import Table


def plain_table(title: str, first: str, *others: str) -> Table:
    """A table with a title; all columns but the first are of numbers."""
    table = Table(
        title=escape(title), title_justify="left", title_style="bold", box=None, pad_edge=False, header_style="bold"
    )
    table.add_column(first)
    for name in others:
        table.add_column(name, justify="right")
    return table
