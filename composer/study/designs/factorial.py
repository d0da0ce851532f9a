"""The full factorial of a few categories, each at a low and a high number of rows."""

from __future__ import annotations

import itertools
from math import prod

from composer.errors import ConfigError
from composer.study.designs.variants import Effect, Family, Setting, Variant, with_rows


def factorial(setting: Setting) -> Family:
    """Every combination of low and high rows, with main effects and interactions as contrasts.

    A main effect is the mean score with the factor high minus the mean score with it low; the interaction of two
    factors is half the difference of one's effect between the other's high and low; and so on for more (Yates 1937).
    """
    factors = setting.config.categories
    rows = {factor: _levels(setting, factor) for factor in factors}
    cells = [dict(zip(factors, levels, strict=True)) for levels in itertools.product((0, 1), repeat=len(factors))]
    variants = tuple(
        Variant(
            "_and_".join(high) or "none",
            " + ".join(high) or "none of " + ", ".join(factors),
            with_rows({factor: rows[factor][level] for factor, level in cell.items()}, setting.config.hold),
            levels=cell,
        )
        for cell in cells
        for high in [[factor for factor in factors if cell[factor]]]
    )
    half = 2 ** (len(factors) - 1)
    effects = tuple(
        Effect(
            " × ".join(chosen),
            chosen,
            {one.name: prod(2 * one.levels[factor] - 1 for factor in chosen) / half for one in variants},
        )
        for order in range(1, len(factors) + 1)
        for chosen in itertools.combinations(factors, order)
    )
    return Family(variants, variants[0].name, effects)


def _levels(setting: Setting, factor: str) -> tuple[int, int]:
    if factor in setting.config.levels:
        low, high = setting.config.levels[factor]
        return low, high
    if not setting.rows.get(factor):
        raise ConfigError(
            [f"{setting.key}.categories names {factor}: the base has no such rows; give {setting.key}.levels.{factor}"]
        )
    return 0, setting.rows[factor]
