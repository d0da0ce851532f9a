"""Composes a mixture: quotas, edits, shortages, and then exactly these rows in exactly this order."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from composer.config import MixtureConfig
from composer.errors import ConfigError
from composer.mixture.edits import apply_edits, unknown_in_edits
from composer.mixture.quotas import count_rows, stratum_rows
from composer.mixture.ranking import Ranking, export_keys, rank_keys, sort_by_key
from composer.mixture.shortage import Rows, settle, usable_rows
from composer.pool.index import Index


@dataclass(frozen=True)
class Tally:
    """Rows of a category or stratum.

    Attributes:
        asked: Rows by apportionment and edits, before the shortage policy.
        rows: Rows in the mixture, copies counted.
        tokens: Tokens of those rows.
        available: Rows in the pool.
    """

    asked: int
    rows: int
    tokens: int
    available: int


@dataclass(frozen=True)
class CategoryTally(Tally):
    """Rows of a category, and of each of its strata by name."""

    strata: dict[str, Tally]


@dataclass(frozen=True, eq=False)
class Mixture:
    """A definite list of rows of a pool.

    Attributes:
        positions: (rows,) int64, positions in the pool's index, in export order; a repeated row stands several times.
        copies: (rows,) int64, 0 where a row stands for the first time in rank, 1, 2, … for its further copies.
        categories: What was asked and what was realised, by category, sorted by name.
        digest: The SHA-256 of the ids in export order, each followed by a newline, as hexadecimal digits.
    """

    positions: NDArray[np.int64]
    copies: NDArray[np.int64]
    categories: dict[str, CategoryTally]
    digest: str

    def __len__(self) -> int:
        """The rows, copies counted."""
        return len(self.positions)

    @property
    def tokens(self) -> int:
        """The tokens of all rows, copies counted."""
        return sum(tally.tokens for tally in self.categories.values())


def compose(index: Index, config: MixtureConfig) -> Mixture:
    """Composes the mixture that `config` says of the pool that `index` describes.

    Rows are counted by category (`quotas`), edited (`edits`), counted by stratum and fitted to the pool (`shortage`);
    each stratum then gives its first rows by a seeded hash of their ids, and a second such hash orders them all. So a
    mixture with larger counts holds all rows of one with smaller counts, in the same relative order.

    Of the index only the rows that are chosen are looked at; for quotas of tokens, the tokens of all of a category.

    Raises:
        ConfigError: A quota or an edit cannot be met by any pool with these categories.
        ShortageError: The pool lacks rows.
    """
    known = index.categories
    unknown = [
        f"mixture.quotas.{name} is {quota}: the pool has no such category; it must be one of {', '.join(known)}"
        for name, quota in config.quotas.items()
        if name not in known
    ]
    if unknown := [*unknown, *unknown_in_edits(config.edits, known)]:
        raise ConfigError(unknown)
    ranking = Ranking(index, config.seed)
    counts = apply_edits(count_rows(config, ranking), config.edits, known)
    asked = {category: stratum_rows(category, rows, ranking) for category, rows in counts.items()}
    # Without edits the shares themselves stay the weights, so that a larger size never takes a row away.
    weights = config.quotas if config.by == "share" and not config.edits else counts
    usable = usable_rows(sum(counts.values()), config, ranking)
    given = settle(asked, weights, config, ranking, usable)
    positions, copies = _chosen(given, ranking, usable)
    keys = export_keys(rank_keys(index.stands[positions], config.seed), copies)
    order = sort_by_key(keys, positions, index)
    positions, copies = positions[order], copies[order]
    digest = hashlib.sha256("\n".join([*index.ids.take(positions).to_pylist(), ""]).encode()).hexdigest()
    return Mixture(positions, copies, _tallies(asked, given, positions, ranking), digest)


def _chosen(given: Rows, ranking: Ranking, usable: Sequence[int]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The positions and copy numbers of all rows: of each stratum whole passes, then the first by rank once more."""
    positions, copies = [], []
    for strata in given.values():
        for place, rows in strata.items():
            if not rows:
                continue
            passes, left = divmod(rows, usable[place])
            ranked = ranking.first(place, min(rows, usable[place]))
            positions += [ranked] * passes + [ranked[:left]]
            copies.append(np.arange(rows, dtype=np.int64) // usable[place])
    return np.concatenate(positions), np.concatenate(copies)


def _tallies(asked: Rows, given: Rows, positions: NDArray[np.int64], ranking: Ranking) -> dict[str, CategoryTally]:
    index = ranking.index
    # Sums of float64 weights are exact below 2^53 tokens.
    tokens = np.bincount(index.stratum(positions), index.n_tokens[positions], minlength=len(index.strata))
    tallies = {}
    for category, strata in asked.items():
        parts = {
            index.strata[place][1]: Tally(rows, given[category][place], int(tokens[place]), ranking.sizes[place])
            for place, rows in strata.items()
        }
        tallies[category] = CategoryTally(
            asked=sum(part.asked for part in parts.values()),
            rows=sum(part.rows for part in parts.values()),
            tokens=sum(part.tokens for part in parts.values()),
            available=sum(part.available for part in parts.values()),
            strata=parts,
        )
    return tallies
