"""The register of filters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import signature
from typing import Any

import numpy as np
from numpy.typing import NDArray

from composer.pool.filters.batch import Batch, Mask

Reasons = Mapping[str, Mask]  # reason → (n,) whether a row is rejected for it; the first that holds is a row's reason
Rule = Callable[..., Reasons]
RULES: dict[str, Rule] = {}


def rule(name: str) -> Callable[[Rule], Rule]:
    """Registers a filter, whose parameters are its keyword arguments, by name."""

    def register(of: Rule) -> Rule:
        RULES[name] = of
        return of

    return register


def parameters(name: str) -> dict[str, Any]:
    """The parameters of a filter with their defaults."""
    told = signature(RULES[name]).parameters.values()
    return {one.name: one.default for one in told if one.kind is one.KEYWORD_ONLY}


def first_reasons(batch: Batch, asked: Mapping[str, Mapping[str, Any]]) -> tuple[NDArray[np.int64], list[str]]:
    """Runs filters in the order in which they are given.

    Args:
        batch: (n,) rows.
        asked: Filter → its parameters.

    Returns:
        (n,) the place of each row's first reason, -1 where there is none; and the reasons, `filter: reason`.
    """
    found, names = np.full(len(batch), -1), list[str]()
    for name, given in asked.items():
        for reason, rejected in RULES[name](batch, **given).items():
            found[(found < 0) & rejected] = len(names)
            names.append(f"{name}: {reason}")
    return found, names
