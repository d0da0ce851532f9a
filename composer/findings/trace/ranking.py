"""Ranks what separates a step's rows from the others, and says what could be chance."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from composer.findings.trace.features import HANGUL, REPEATED, TOKENS, Features
from composer.findings.trace.files import Ledger
from composer.findings.trace.found import Cause, Kind
from composer.findings.trace.rows import Filters
from composer.findings.trace.separation import Floats, Mask, Separation, of_booleans, of_numbers

LEVEL = 0.01  # of the chance that anything stands out in rows drawn at random
ALIKE = 2  # decimals of a separation: those that agree in them are ties
NEAR = 12  # rows of like length, at least, that each of the steps' rows is compared with

# Of ties: what can be acted on, then what is simple.
_ORDER: tuple[Kind, ...] = ("filter", "label", "content", "number")

Found = tuple[str, Kind, str | None, Separation]


@dataclass(frozen=True, eq=False)
class Sides:
    """The rows of some steps, and those to compare them with.

    Attributes:
        inside: (n,) places of the steps' rows in the mixture.
        outside: (m,) places of the others.
        weights: (m,) of the others, above 0.
        tokens: The fewest and the most tokens of the others, where they were chosen by their length; else None.
    """

    inside: NDArray[np.int64]
    outside: NDArray[np.int64]
    weights: Floats
    tokens: tuple[int, int] | None


def sides(ledger: Ledger, inside: NDArray[np.int64], size: int) -> Sides:
    """The sides of the steps that read the rows at the sorted places `inside` of a mixture of `size` rows.

    Where steps are made of rows of like length, only a row of such length could have stood in a row's place: each of
    the steps' rows then spreads a weight of 1 over those that are nearest to it in length.
    """
    if not ledger.of_like_length:
        outside = np.setdiff1d(np.arange(size), inside)
        return Sides(inside, outside, np.ones(len(outside)), None)
    tokens = np.zeros(size, np.int64)
    np.maximum.at(tokens, ledger.place, ledger.tokens)
    others = np.setdiff1d(ledger.place, inside)  # a row that no step reads has no length
    weights = np.zeros(len(others))
    for length, rows in zip(*np.unique(tokens[inside], return_counts=True), strict=True):
        away = np.abs(tokens[others] - length)
        near = away <= np.sort(away)[:NEAR].max(initial=0)
        weights[near] += rows / max(int(near.sum()), 1)
    outside = others[weights > 0]
    ends = (int(tokens[outside].min()), int(tokens[outside].max())) if len(outside) else (0, 0)
    return Sides(inside, outside, weights[weights > 0], ends)


def causes(known: Features, of: Sides, declared: Mapping[str, Filters]) -> tuple[list[Cause], int]:
    """The features that the steps' rows have more than others, the best first, and how many were compared.

    Ties go to what a filter names, one that the pool's config declares before others, then to what is simple. A number
    that chance explains better than the filter which has it for a parameter is left out.

    Args:
        known: Of the mixture's rows.
        of: What is compared.
        declared: Category → filters of the pool's config.
    """
    found, compared = list[Found](), 0
    if not len(of.outside):
        return [], 0
    for parts in (_reasons(known, of), _labels(known, of), _repeated(known, of), _numbers(known, of)):
        for features, some in parts:
            compared += features
            found += [one for one in some if one[3].separation > 0]
    used = {name for filters in declared.values() for name in filters}
    found.sort(key=lambda one: (-round(one[3].separation, ALIKE), _ORDER.index(one[1]), one[2] not in used))
    ranked = [Cause(*one, min(1.0, one[3].p * compared), one[3].p * compared < LEVEL) for one in found]
    by_filter = {one.filter: one.p_corrected for one in sorted(ranked, key=lambda one: -one.p_corrected)}
    return [one for one in ranked if one.kind != "number" or not _said(one, by_filter)], compared


def _said(number: Cause, by_filter: Mapping[str | None, float]) -> bool:
    """Whether the filter that has this number for a parameter tells the rows apart as it is, and with less chance."""
    return by_filter.get(HANGUL.get(number.feature, ("", ""))[1], math.inf) <= number.p_corrected


def true_of(cause: Cause, known: Features, places: NDArray[np.int64]) -> Mask:
    """(k,) of which of the rows at `places` a cause is true."""
    if cause.kind == "filter":
        name, reason = cause.feature.split(": ", 1)
        return known.reasons[name, reason][places]
    cut = cause.separated.cut
    if cut is not None:
        values = known.numbers[cause.feature][places]
        return values >= cut if cause.separated.above else values <= cut
    return np.ones(len(places), dtype=bool)


# Each of these gives how many features were compared, those that vary, and what was found of them.
Parts = Iterator[tuple[int, list[Found]]]


def _reasons(known: Features, of: Sides) -> Parts:
    for (name, reason), mask in known.reasons.items():
        yield int(_varies(mask, of)), [(f"{name}: {reason}", "filter", name, _separated(mask, of))]


def _labels(known: Features, of: Sides) -> Parts:
    for name, column in known.labels.items():
        codes = np.concatenate([np.asarray(chunk.indices) for chunk in column.chunks])
        values = column.chunk(0).dictionary.to_pylist()
        here = np.unique(codes[of.inside])
        every = len(np.union1d(here, codes[of.outside]))
        some = here.tolist() if every > 1 else ()
        yield (
            every if every > 1 else 0,
            [(f"{name}={values[at]}", "label", None, _separated(codes == at, of)) for at in some],
        )


def _repeated(known: Features, of: Sides) -> Parts:
    mask = known.repeated
    yield int(_varies(mask, of)), [(REPEATED, "content", None, _separated(mask, of))]


def _numbers(known: Features, of: Sides) -> Parts:
    for name, values in known.numbers.items():
        if name == TOKENS and of.tokens is not None:
            continue  # the others were chosen by it
        yield 1, [(name, "number", None, of_numbers(values[of.inside], values[of.outside], of.weights))]


def _separated(mask: Mask, of: Sides) -> Separation:
    return of_booleans(mask[of.inside], mask[of.outside], of.weights)


def _varies(mask: Mask, of: Sides) -> bool:
    some = np.concatenate([mask[of.inside], mask[of.outside]])
    return bool(some.any() and not some.all())
