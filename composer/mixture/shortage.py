"""What a mixture does where the pool has fewer rows than it asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from composer.config import MixtureConfig
from composer.errors import ShortageError
from composer.mixture.apportion import apportion
from composer.mixture.quotas import stratum_rows
from composer.mixture.ranking import Ranking

Rows = dict[str, dict[int, int]]  # category → place of the stratum in the index → rows


def usable_rows(size: int, config: MixtureConfig, ranking: Ranking) -> Sequence[int]:
    """How many rows of each stratum a mixture of `size` rows may take: all, or what `mixture.proxy_of` leaves.

    A mixture of 5,000 rows in the place of one of 50,000 takes its rows from the first tenth of each stratum, and so
    repeats each as often as the larger one does.
    """
    if config.shortage != "repeat" or config.proxy_of is None or config.proxy_of <= size:
        return ranking.sizes
    return [-(-rows * size // config.proxy_of) for rows in ranking.sizes]


def settle(
    asked: Rows, weights: Mapping[str, float], config: MixtureConfig, ranking: Ranking, usable: Sequence[int]
) -> Rows:
    """The rows that each stratum gives, under `mixture.shortage`.

    `error` gives what is asked or fails. `repeat` gives what is asked, each row at most `mixture.max_repeats` times.
    `redistribute` gives each category at most what it has and apportions what is lacking to the others by `weights`;
    within a category other strata need not step in, for all of them are full when one is (see `stratum_rows`).

    Raises:
        ShortageError: The policy cannot give as many rows as are asked.
    """
    if config.shortage == "redistribute":
        return _redistributed(asked, weights, ranking)
    passes = config.max_repeats if config.shortage == "repeat" else 1
    short = [
        (category, place, rows)
        for category, strata in asked.items()
        for place, rows in strata.items()
        if rows > passes * usable[place]
    ]
    if short:
        raise ShortageError(_message(asked, short, config, ranking, usable))
    return asked


def _redistributed(asked: Rows, weights: Mapping[str, float], ranking: Ranking) -> Rows:
    available = {category: sum(ranking.sizes[place] for place in strata) for category, strata in asked.items()}
    caps = {category: rows if weights[category] else 0 for category, rows in available.items()}
    total = sum(sum(strata.values()) for strata in asked.values())
    if total > sum(caps.values()):
        raise ShortageError(
            f"the mixture asks for {total} rows and all its categories together have {sum(caps.values())}: "
            f"ask for fewer, or set mixture.shortage=repeat"
        )
    counts = apportion(total, [weights[category] for category in asked], list(caps.values()))
    return {category: stratum_rows(category, rows, ranking) for category, rows in zip(asked, counts, strict=True)}


def _message(
    asked: Rows, short: Sequence[tuple[str, int, int]], config: MixtureConfig, ranking: Ranking, usable: Sequence[int]
) -> str:
    total = sum(sum(strata.values()) for strata in asked.values())
    if config.shortage == "repeat":
        head = f"the mixture asks for more than mixture.max_repeats={config.max_repeats} times the rows of"
        remedy = "raise mixture.max_repeats, ask for fewer rows, or set mixture.shortage=redistribute"
    elif total > sum(ranking.sizes):
        size = "" if config.size is None else f" (mixture.size={config.size})"
        return (
            f"the mixture asks for {total} rows{size} and the whole pool has {sum(ranking.sizes)}: "
            f"ask for fewer, or set mixture.shortage=repeat to let rows stand in it more than once"
        )
    else:
        head = "the mixture asks for more rows than the pool has of"
        remedy = "ask for fewer rows, or set mixture.shortage=repeat or mixture.shortage=redistribute"
    names = ranking.index.strata
    lines = [
        f"  category {category}, stratum {names[place][1]}: asked {rows}, available {usable[place]}"
        for category, place, rows in short
    ]
    return "\n".join([head, *lines, remedy])
