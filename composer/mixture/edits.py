"""Edits of a mixture: each moves realised row counts and leaves the counts it does not name as its rule says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from math import floor

from composer.config import EditConfig
from composer.errors import ConfigError
from composer.mixture.apportion import apportion

HALF = Fraction(1, 2)


def apply_edits(
    counts: Mapping[str, int], edits: Mapping[str, EditConfig], categories: Sequence[str]
) -> dict[str, int]:
    """Applies `edits` in their order to the rows of each category; quotas are not apportioned anew.

    Args:
        counts: Rows by category, not all 0.
        edits: Edits by name; each holds exactly one operation (`EditConfig` says what they do).
        categories: Those of the pool; an edit may bring in one that has no count yet.

    Returns:
        Rows by category, sorted by name, not all 0. A category dropped or replaced is no longer in it.

    Raises:
        ConfigError: An edit names a category that the pool lacks, or takes one that the mixture lacks; it sets more
            rows than there are; it leaves none.
    """
    if unknown := list(unknown_in_edits(edits, categories)):
        raise ConfigError(unknown)
    edited = dict(sorted(counts.items()))
    for name, edit in edits.items():
        key = f"mixture.edits.{name}.{edit.operation}"
        edited = dict(sorted(_apply(key, edited, edit).items()))
        if not sum(edited.values()):
            raise ConfigError([f"{key} leaves no rows in the mixture: leave at least one"])
    return edited


def unknown_in_edits(edits: Mapping[str, EditConfig], categories: Sequence[str]) -> Iterator[str]:
    """The problems of edits that name categories which the pool lacks."""
    allowed = ", ".join(categories)
    for name, edit in edits.items():
        replaced = edit.replace or {}
        named = [*replaced, *replaced.values(), *(edit.set or edit.share or {})]
        for category in named if edit.drop is None else [edit.drop]:
            if category not in categories:
                key = f"mixture.edits.{name}.{edit.operation}"
                yield f"{key} names {category}: the pool has no such category; it must be one of {allowed}"


def _apply(key: str, counts: dict[str, int], edit: EditConfig) -> dict[str, int]:
    size = sum(counts.values())
    if edit.drop is not None:
        _require(key, [edit.drop], counts)
        return {category: rows for category, rows in counts.items() if category != edit.drop}
    if edit.replace is not None:
        return _replace(key, counts, edit.replace)
    if edit.resize is not None:
        return _spread(edit.resize, counts)
    if edit.scale is not None:
        return _spread(floor(size * _as_written(edit.scale) + HALF), counts)
    if edit.set is not None:
        given = edit.set
    else:
        given = _share(key, counts, {category: _as_written(s) for category, s in (edit.share or {}).items()}, edit.rest)
    rest = {category: rows for category, rows in counts.items() if category not in given}
    return {**rest, **given} if edit.rest == "fixed" else {**_rescaled(key, rest, given, size), **given}


def _replace(key: str, counts: dict[str, int], pairs: Mapping[str, str]) -> dict[str, int]:
    """All pairs at once, so that two categories may swap their counts."""
    _require(key, pairs, counts)
    replaced = {category: rows for category, rows in counts.items() if category not in pairs}
    for old, new in pairs.items():
        replaced[new] = replaced.get(new, 0) + counts[old]
    return replaced


def _share(key: str, counts: dict[str, int], shares: dict[str, Fraction], rest: str) -> dict[str, int]:
    """The rows that make each share of the result, to the nearest row, a half upwards."""
    left = 1 - sum(shares.values())
    if left < 0 or (left == 0 and rest == "fixed"):
        raise ConfigError([f"{key} sums to {float(1 - left):g}: shares must leave something for the rest"])
    if rest == "fixed":
        others = sum(rows for category, rows in counts.items() if category not in shares)
        return {category: floor(share * others / left + HALF) for category, share in shares.items()}
    # For one category this is rounding; for several it cannot come to more than the size. The rest goes last: it
    # loses ties, as rounding a half upwards has it.
    rows = apportion(sum(counts.values()), [*shares.values(), left])
    return dict(zip(shares, rows, strict=False))


def _rescaled(key: str, rest: dict[str, int], given: Mapping[str, int], size: int) -> dict[str, int]:
    """The rest, at its present proportions, over what the given rows leave of `size`."""
    left = size - sum(given.values())
    if left < 0:
        raise ConfigError(
            [f"{key} sums to {size - left} rows: the mixture has {size}; set fewer, or say rest=fixed to let it grow"]
        )
    if left and not sum(rest.values()):
        raise ConfigError(
            [f"{key} sums to {size - left} of {size} rows and no other category can take the rest; say rest=fixed"]
        )
    return _spread(left, rest)


def _spread(rows: int, counts: dict[str, int]) -> dict[str, int]:
    """Apportions `rows` with the present counts as weights."""
    return dict(zip(counts, apportion(rows, list(counts.values())), strict=True))


def _require(key: str, categories: Sequence[str] | Mapping[str, str], counts: Mapping[str, int]) -> None:
    for category in categories:
        if category not in counts:
            raise ConfigError(
                [f"{key} names {category}: it is not in the mixture at that point, which holds {', '.join(counts)}"]
            )


def _as_written(number: float) -> Fraction:
    """The decimal fraction that a recipe says: 0.3 is 3/10, so that half a row is half a row."""
    return Fraction(repr(number))
