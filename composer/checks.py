"""Sentences that configs' checks have in common."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence


def one_of(key: str, value: str, allowed: Sequence[str]) -> Iterator[str]:
    """The problem of a value that is none of those allowed, if it is one."""
    if value not in allowed:
        yield f"{key} is {value}: it must be one of {listed(allowed)}"


def listed(names: Iterable[object]) -> str:
    """The names in one line."""
    return ", ".join(str(name) for name in names)
