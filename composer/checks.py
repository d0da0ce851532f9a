"""Sentences that configs' checks have in common."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Sequence


def one_of(key: str, value: str, allowed: Sequence[str]) -> Iterator[str]:
    """The problem of a value that is none of those allowed, if it is one; the empty text is one that was not set."""
    if value not in allowed:
        yield f"{key} is {value or 'not set'}: it must be one of {listed(allowed)}"


def listed(names: Iterable[object]) -> str:
    """The names in one line."""
    return ", ".join(str(name) for name in names)


def nearest(given: str, known: Sequence[str]) -> str:
    """What is allowed, and what the user most likely meant."""
    close = difflib.get_close_matches(given, known, 1)
    return f"it must be one of {listed(known)}" + (f" (did you mean {close[0]}?)" if close else "")


def counted(count: int, one: str) -> str:
    """So many of something, whose plural takes an s."""
    return f"{count:,} {one}" + ("" if count == 1 else "s")
