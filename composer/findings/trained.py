"""Finished trials by mixture, from a run's folder or a CSV file, as a surrogate takes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from composer.artifacts import digest
from composer.checks import listed
from composer.config import Config
from composer.config_search import RangeConfig, SearchConfig
from composer.errors import ConfigError, RequestError
from composer.findings.asked import Asked
from composer.findings.statistics import LEVEL
from composer.mixture.planned import planned_rows
from composer.study.domain import SIZE, Domain
from composer.study.objectives import pooled_noise
from composer.study.space import Space, make_space
from composer.surrogate import Features

Array = NDArray[np.float64]

LEAST = 4  # distinct mixtures: what cross-validation takes
LEAST_FREEDOM = 4  # of the noise from seed to seed, for it to count as known
LEAST_NOISE = 1e-9  # where all seeds agree


@dataclass(frozen=True, eq=False)
class Mixture:
    """One mixture with its settings, and the scores of its trials.

    Attributes:
        name: Its arm, or the place of its first run in the CSV file.
        shares: (K,) of rows.
        rows: Category → rows, where they are known.
        settings: Those that vary between mixtures: `size`, trainer settings.
        trainer: All that its arm sets of the trainer.
        scores: (seeds, m) in the unit of the file.
    """

    name: str
    shares: Array
    rows: Mapping[str, int]
    settings: Mapping[str, Any]
    trainer: Mapping[str, Any]
    scores: Array


@dataclass(frozen=True, eq=False)
class Trained:
    """What was trained and what came of it.

    Attributes:
        source: The run's folder, or the CSV file.
        kind: Which of them.
        name: Of the run's recipe, or of the file.
        categories: K names.
        benchmarks: m names.
        signs: (m,) 1, or -1 where less is better.
        weights: (m,) in the objective, sum to 1; 0 where a benchmark is not in it.
        mixtures: Distinct ones, at least `LEAST`.
        domain: What a recommendation may be, and how settings are seen.
        options: The settings that a recommendation may have, one of them its own.
        bounded: Where bounds come from that were not asked for: `search`, or what was `measured`.
        trials: How many are `finished`, `failed`, `missing`.
        level: Of intervals.
        size: Rows of a mixture where size does not vary; None for a CSV.
        plan: The run's.
        config: The run's.
        notes: What a reader must know, a sentence each.
    """

    source: Path
    kind: Literal["run", "csv"]
    name: str
    categories: tuple[str, ...]
    benchmarks: tuple[str, ...]
    signs: Array
    weights: Array
    mixtures: tuple[Mixture, ...]
    domain: Domain
    options: tuple[Mapping[str, Any], ...]
    bounded: Literal["search", "measured"]
    trials: Mapping[str, int]
    level: float = LEVEL
    size: int | None = None
    plan: Mapping[str, Any] | None = None
    config: Config | None = None
    notes: tuple[str, ...] = ()

    @property
    def shares(self) -> Array:
        """(n, K) of the mixtures."""
        return np.array([one.shares for one in self.mixtures])

    @property
    def scores(self) -> Array:
        """(n, m) means over seeds, in the unit of the file."""
        return np.array([one.scores.mean(axis=0) for one in self.mixtures])

    @property
    def by_trial(self) -> list[list[list[float]]]:
        """Mixture → seed → the benchmarks' scores, more is better, and the objective."""
        signed = [one.scores * self.signs for one in self.mixtures]
        return [np.column_stack([of, of @ self.weights]).tolist() for of in signed]

    @property
    def seed_noise(self) -> list[float] | None:
        """The standard deviation from seed to seed of each benchmark and the objective; None where too few tell it."""
        freedom = sum(len(one.scores) - 1 for one in self.mixtures)
        return pooled_noise(self.by_trial) if freedom >= LEAST_FREEDOM else None

    @property
    def noise(self) -> Array | None:
        """(n, m + 1) standard errors of the mixtures' means, or None where they are not known."""
        sd = self.seed_noise
        if sd is None:
            return None
        seeds = np.array([len(one.scores) for one in self.mixtures])
        found: Array = np.maximum(sd, LEAST_NOISE) / np.sqrt(seeds)[:, None]
        return found

    def features(self, shares: Array, settings: Sequence[Mapping[str, Any]]) -> Features:
        """Mixtures (n, K) with their settings as the surrogate sees them."""
        if not settings or not settings[0]:
            return Features(shares)
        return Features(shares, np.array([self.domain.unit(one) for one in settings]))

    def space(self, settings: Mapping[str, Any]) -> Space:
        """The mixtures that may be recommended with these settings.

        Raises:
            ConfigError: The bounds, or what the pool has, leave no choice.
        """
        try:
            return self.domain.space_at(int(settings.get(SIZE, self.size or 1)))
        except ConfigError as error:
            raise _of_bounds(error) from None


def make_trained(
    asked: Asked, mixtures: Sequence[Mixture], categories: tuple[str, ...], benchmarks: tuple[str, ...], signs: Array,
    wanted: Mapping[str, float], bounds: Mapping[str, tuple[float, float]], available: Array, size: tuple[int, int],
    ranges: Mapping[str, RangeConfig], whole: frozenset[str], **facts: Any,
) -> Trained:  # fmt: skip
    """Checks names and numbers, and makes the domain.

    Args:
        asked: What was asked; its weights and bounds come before those given here.
        mixtures: Distinct ones.
        categories: K names.
        benchmarks: m names.
        signs: (m,) of the benchmarks.
        wanted: Benchmark → weight.
        bounds: Category → lowest and highest share; empty: what was measured.
        available: (K,) rows that a mixture may have of each category.
        size: The fewest and the most rows.
        ranges: Setting → its values.
        whole: Settings that are whole numbers.
        facts: The rest of `Trained`.
    """
    _known("--weights", asked.weights, benchmarks)
    _known("--bounds", asked.bounds, categories)
    for one in asked.mixtures:
        _known("--mixture", one, categories)
    distinct = {tuple(one.shares.round(9)) for one in mixtures}
    if len(distinct) < LEAST:
        told = f"{facts['trials']['finished']} finished trials" if facts["kind"] == "run" else "its rows"
        raise RequestError(
            f"{asked.source} has {len(distinct)} distinct mixtures in {told}: a fit takes at least {LEAST}; train more"
        )
    shares = np.array([one.shares for one in mixtures])
    least = dict(
        zip(categories, zip(shares.min(axis=0).tolist(), shares.max(axis=0).tolist(), strict=True), strict=True)
    )
    ends = np.array([{**(bounds or least), **asked.bounds}[name] for name in categories])
    try:
        space = make_space(categories, shares.mean(axis=0), ends[:, 0], ends[:, 1])
    except ConfigError as error:
        raise _of_bounds(error) from None
    weights = np.array([(asked.weights or wanted).get(name, 0.0) for name in benchmarks])
    config = facts.get("config")
    return Trained(
        source=asked.source,
        categories=categories,
        benchmarks=benchmarks,
        signs=signs,
        weights=weights / weights.sum(),
        mixtures=tuple(mixtures),
        domain=Domain(space, available, size, ranges, whole),
        options=tuple(_options(mixtures, config, signs, weights)),
        bounded="search" if bounds else "measured",
        size=None if config is None else size[1],
        **facts,
    )


def _options(
    mixtures: Sequence[Mixture], config: Config | None, signs: Array, weights: Array
) -> list[Mapping[str, Any]]:
    """The settings that a recommendation may have, all of them measured.

    What a search varied is to be chosen. Anything else stays as the recipe has it, or, where no trial had that, as the
    best mixture has it.
    """
    if config is None or not mixtures[0].settings:
        return [{}]
    search = config.study.search or SearchConfig()
    size = {SIZE: sum(planned_rows(config.mixture).values())} if config.mixture.by != "tokens" else {}
    own = {**size, **vars(config.trainer)}
    best = max(mixtures, key=lambda one: float(one.scores.mean(axis=0) @ (signs * weights))).settings
    free = {*search.trainer, *([SIZE] if search.size else [])}
    held = {name: value for name, value in own.items() if name in best and name not in free}
    found: dict[str, Mapping[str, Any]] = {}
    for one in mixtures:
        if all(one.settings[name] == value for name, value in held.items()):
            found.setdefault(digest(dict(one.settings)), one.settings)
    return list(found.values()) or [best]


def _known(option: str, named: Mapping[str, Any], allowed: Sequence[str]) -> None:
    if unknown := [name for name in named if name not in allowed]:
        raise RequestError(f"{option} names {listed(unknown)}: it must be of {listed(allowed)}")


def _of_bounds(error: ConfigError) -> ConfigError:
    """The same problems in the words of the command line."""
    return ConfigError(
        [one.replace("study.search.bounds", "--bounds").replace("study.search", "--bounds") for one in error.problems]
    )
