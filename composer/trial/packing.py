"""Documents packed into lines: best fit, so that the tokens of a step are real ones."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence


def best_fit(lengths: Sequence[int], capacity: int, gap: int = 0) -> list[list[int]]:
    """Packs documents into as few lines as best fit decreasing finds, each of at most `capacity` tokens.

    The longest document goes first, into the fullest line that still holds it; of equal ones the earlier goes first,
    so that the packing is a function of its arguments. A line's documents stand in their given order.

    Args:
        lengths: (n,) tokens of each document, none above `capacity`.
        capacity: tokens of a line.
        gap: tokens between two documents of a line, which nothing is learned from.

    Returns:
        The places in `lengths` of each line's documents; lines go by their first document.
    """
    lines: list[list[int]] = []
    free: list[tuple[int, int]] = []  # (tokens left, line), sorted
    for place in sorted(range(len(lengths)), key=lambda place: (-lengths[place], place)):
        at = bisect_left(free, (lengths[place] + gap, -1))
        if at < len(free):
            left, line = free.pop(at)
            left -= lengths[place] + gap
            lines[line].append(place)
        else:
            line, left = len(lines), capacity - lengths[place]
            lines.append([place])
        free.insert(bisect_left(free, (left, line)), (left, line))
    return sorted(sorted(line) for line in lines)


def shares(sizes: Sequence[int], parts: int) -> list[list[int]]:
    """Deals lines to `parts` processes, the longest first and each to the one with the least so far.

    Args:
        sizes: (n,) tokens of each line.
        parts: processes; those beyond the lines get none.

    Returns:
        The places in `sizes` that each process gets, ascending.
    """
    dealt: list[list[int]] = [[] for _ in range(parts)]
    loads = [0] * parts
    for place in sorted(range(len(sizes)), key=lambda place: (-sizes[place], place)):
        least = loads.index(min(loads))
        dealt[least].append(place)
        loads[least] += sizes[place]
    return [sorted(part) for part in dealt]
