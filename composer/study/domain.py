"""What a search may vary, all of it: the mixture, its size, trainer settings; as Optuna's parameters and as arms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from composer.config import ArmConfig, EditConfig, MixtureConfig
from composer.config_search import RangeConfig, SearchConfig
from composer.mixture.apportion import apportion
from composer.study.space import REACH, Shares, Space, bounded_space

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

EDIT = "proposal"
SIZE = "size"


@dataclass(frozen=True)
class Proposal:
    """A mixture that was proposed, and the trainer settings beside it.

    Attributes:
        params: As Optuna knows it: coordinates of the mixture, size, settings.
        rows: Category → rows.
        trainer: Setting → value.
    """

    params: Mapping[str, Any]
    rows: Mapping[str, int]
    trainer: Mapping[str, Any]

    @property
    def shares(self) -> dict[str, float]:
        """Category → its share of the rows, which is what a sampler learns from."""
        total = sum(self.rows.values())
        return {name: count / total for name, count in self.rows.items()}

    def arm(self, index: int) -> ArmConfig:
        """The arm that trains it."""
        edit = EditConfig(set=dict(self.rows), rest="fixed")
        return ArmConfig(label=f"proposal {index}", edits={EDIT: edit}, trainer=dict(self.trainer))


def arm_name(index: int) -> str:
    """The name of a proposal's arm, such as p007."""
    return f"p{index:03d}"


def is_proposed(arm: ArmConfig) -> bool:
    """Whether a search made this arm."""
    return EDIT in arm.edits


@dataclass(frozen=True, eq=False)
class Domain:
    """Everything that a search may vary.

    Attributes:
        space: The mixtures, by declared bounds alone.
        available: (K,) the most rows that the pool lets each category have; infinite where it is not known.
        size: The fewest and the most rows; equal where the size is fixed.
        trainer: Setting → its values.
        whole: The settings that are whole numbers.
    """

    space: Space
    available: Shares
    size: tuple[int, int]
    trainer: Mapping[str, RangeConfig]
    whole: frozenset[str] = frozenset()
    _spaces: dict[int, Space] = field(default_factory=dict, repr=False)

    def space_at(self, size: int) -> Space:
        """The mixtures of so many rows that the pool can give.

        Raises:
            ConfigError: There is none, or only one.
        """
        if size not in self._spaces:
            self._spaces[size] = self.space.capped(np.minimum(self.available / size, 1.0))
        return self._spaces[size]

    @property
    def coordinates(self) -> list[str]:
        """The names of the mixture's coordinates."""
        return [f"z_{place}" for place in range(1, self.space.dimensions + 1)]

    def distributions(self) -> dict[str, BaseDistribution]:
        """Optuna's parameters and their ranges."""
        from optuna.distributions import FloatDistribution

        return {**{name: FloatDistribution(-REACH, REACH) for name in self.coordinates}, **self.settings()}

    def settings(self) -> dict[str, BaseDistribution]:
        """Those of them that are not coordinates of the mixture: its size, and settings of the trainer."""
        from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

        found: dict[str, BaseDistribution] = {}
        if self.size[0] < self.size[1]:
            found[SIZE] = IntDistribution(*self.size, log=True)
        for name, of in self.trainer.items():
            if of.choices:
                found[name] = CategoricalDistribution(of.choices)
            elif name in self.whole:
                found[name] = IntDistribution(round(of.low or 0), round(of.high or 0), log=of.log)
            else:
                found[name] = FloatDistribution(float(of.low or 0), float(of.high or 0), log=of.log)
        return found

    def proposal(self, params: Mapping[str, Any]) -> Proposal:
        """The proposal that Optuna's parameters stand for."""
        size = int(params.get(SIZE, self.size[0]))
        space = self.space_at(size)
        shares = space.decode(np.array([params[name] for name in self.coordinates]))
        limits = [int(min(rows, size)) for rows in self.available]
        counts = apportion(size, np.where(shares > 0, shares, 0).tolist(), limits)
        rows = dict(zip(space.categories, counts, strict=True))
        return Proposal(dict(params), rows, {name: params[name] for name in self.trainer})

    def params(self, shares: Shares, size: int, trainer: Mapping[str, Any]) -> dict[str, Any]:
        """Optuna's parameters of a mixture (K,) with a size and settings; the nearest where one is out of range."""
        found = dict(zip(self.coordinates, map(float, self.space_at(size).encode(shares)), strict=True))
        if self.size[0] < self.size[1]:
            found[SIZE] = min(max(size, self.size[0]), self.size[1])
        for name, of in self.trainer.items():
            value = trainer[name]
            if of.low is not None and of.high is not None:
                value = type(value)(min(max(value, of.low), of.high))
            elif value not in of.choices:
                value = of.choices[0]
            found[name] = value
        return found

    def unit(self, params: Mapping[str, Any]) -> Shares:
        """(e,) size and settings as numbers in [0, 1], a column for each choice; seen beside the shares."""
        from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

        found: list[float] = []
        for name, of in self.settings().items():
            if isinstance(of, CategoricalDistribution):
                found += [float(params[name] == choice) for choice in of.choices]
                continue
            assert isinstance(of, (FloatDistribution, IntDistribution))
            low, high, value = float(of.low), float(of.high), params[name]
            if of.log:
                low, high, value = np.log([low, high, value])
            found.append(float((value - low) / (high - low)) if high > low else 0.0)
        return np.array(found)


def make_domain(
    search: SearchConfig, rows: Mapping[str, int], mixture: MixtureConfig, trainer: Any, pool: Mapping[str, int] | None
) -> Domain:
    """The domain of a search.

    Args:
        search: What the recipe says of it.
        rows: The reference mixture, category → rows.
        mixture: Its config, which says whether rows may repeat.
        trainer: The recipe's trainer section.
        pool: Category → rows in the pool; None where that is not known.

    Raises:
        ConfigError: The bounds leave no choice, or the pool has too few rows for them.
    """
    total = sum(rows.values())
    space = bounded_space({name: count / total for name, count in rows.items()}, search.bounds)
    passes = mixture.max_repeats if mixture.shortage == "repeat" else 1
    available = np.array([np.inf if pool is None else pool.get(name, 0) * passes for name in space.categories], float)
    size = (search.size[0], search.size[1]) if search.size else (total, total)
    whole = frozenset(name for name in search.trainer if isinstance(getattr(trainer, name), int))
    domain = Domain(space, available, size, dict(search.trainer), whole)
    domain.space_at(size[1])  # the largest is the tightest: what it allows, every smaller one does
    return domain
