"""Whole rows of each category, and of each stratum within it, from a mixture's quotas."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from composer.config import MixtureConfig
from composer.errors import ConfigError
from composer.mixture.apportion import apportion
from composer.mixture.ranking import Ranking, token_sums


def count_rows(config: MixtureConfig, ranking: Ranking) -> dict[str, int]:
    """The rows of each category that has a quota, in the order of their names, which also settles ties.

    Shares are apportioned over `size`; rows stand as they are; of tokens a category gets the largest number of rows,
    in its nested order, whose tokens do not exceed its budget.

    Raises:
        ConfigError: The quotas give no row, or a budget is for rows without tokens.
    """
    if config.by != "tokens":
        return declared_rows(config)
    quotas = sorted(config.quotas.items())
    return _some({name: _rows_within(int(budget), name, ranking) for name, budget in quotas}, config)


def declared_rows(config: MixtureConfig) -> dict[str, int]:
    """As `count_rows` of shares or rows, which takes no pool.

    Raises:
        ConfigError: The quotas give no row, or they are tokens, which only the pool's rows can say.
    """
    quotas = dict(sorted(config.quotas.items()))
    if config.by == "tokens":
        raise ConfigError(["mixture.by is tokens: how many rows that makes is known from the pool alone"])
    if config.by == "share":
        return _some(dict(zip(quotas, apportion(config.size or 0, list(quotas.values())), strict=True)), config)
    return _some({category: int(quota) for category, quota in quotas.items()}, config)


def _some(counts: dict[str, int], config: MixtureConfig) -> dict[str, int]:
    if not sum(counts.values()):
        raise ConfigError([f"mixture.quotas give no rows with mixture.by={config.by}: raise at least one of them"])
    return counts


def stratum_rows(category: str, rows: int, ranking: Ranking) -> dict[int, int]:
    """The rows of each of a category's strata, by place, in proportion to the pool's; each grows with `rows`.

    No stratum is asked for more than it has unless the category is: all of the category's rows are apportioned to
    exactly its strata, and fewer never give a stratum more.
    """
    places = ranking.index.strata_of(category)
    return dict(zip(places, apportion(rows, [ranking.sizes[place] for place in places]), strict=True))


def _rows_within(budget: int, category: str, ranking: Ranking) -> int:
    """The largest number of a category's rows, in its nested order, with at most `budget` tokens together.

    Past the category's last row the order goes on with its first: a budget above all its tokens gives a shortage.
    """
    places = ranking.index.strata_of(category)
    sizes = [ranking.sizes[place] for place in places]
    rows = sum(sizes)
    tokens = sum(int(ranking.index.n_tokens[ranking.index.rows(place)].sum(dtype=np.int64)) for place in places)
    if budget and not tokens:
        raise ConfigError(
            [f"mixture.quotas.{category} is {budget} tokens: the rows of {category} have none; use mixture.by=rows"]
        )
    passes, left = divmod(budget, tokens) if tokens else (0, 0)
    return passes * rows + _prefix_within(left, sizes, places, ranking, left * rows // max(tokens, 1))


def _prefix_within(budget: int, sizes: Sequence[int], places: Sequence[int], ranking: Ranking, guess: int) -> int:
    """As `_rows_within`, for a budget below the category's tokens; `guess` is about the answer.

    Only as many rows are ranked as the guess, with some to spare, asks for.
    """
    rows = sum(sizes)
    high = min(rows, guess + guess // 8 + 64)
    while True:
        sums = [
            token_sums(ranking.index, ranking.first(place, n))
            for place, n in zip(places, apportion(high, sizes), strict=True)
        ]

        def tokens(n: int, sums: Sequence[NDArray[np.int64]] = sums) -> int:
            return sum(int(of[m]) for of, m in zip(sums, apportion(n, sizes), strict=True))

        if high == rows or tokens(high) > budget:
            break
        high = min(rows, 2 * high)
    low = 0
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if tokens(middle) <= budget else (low, middle - 1)
    return low
