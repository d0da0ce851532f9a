"""What a recipe may say of a search: mixtures that Optuna proposes, within bounds, for declared objectives."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from composer.checks import listed, one_of
from composer.config_trainer import FREE, plain_settings

SAMPLERS = ("mixture", "gp", "tpe", "nsga2", "random")
LEAST_PAIRS = 5
COST = "cost"  # as an objective: the tokens that a trial is trained on


URL = re.compile(r"[a-z][a-z0-9+.-]*://")


@dataclass
class RangeConfig:
    """The values that one trainer setting may take: a range, or a list."""

    low: float | None = None
    high: float | None = None
    log: bool = False
    choices: list[Any] = field(default_factory=list)

    def problems(self, key: str) -> Iterator[str]:
        """What is wrong with this range, found at `key`."""
        if self.choices:
            if self.low is not None or self.high is not None or self.log:
                yield f"{key} gives choices and a range: give one of them"
            if len(set(map(str, self.choices))) < max(2, len(self.choices)):
                yield f"{key}.choices is {self.choices}: it must hold at least 2 values, none twice"
        elif self.low is None or self.high is None:
            yield f"{key} gives neither a range nor choices: give low and high, or choices"
        elif not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            yield f"{key} is {self.low} to {self.high}: both must be finite, low below high"
        elif self.log and self.low <= 0:
            yield f"{key}.low is {self.low}: with log it must be above 0"


@dataclass
class FidelityConfig:
    """A cheaper way to train a mixture: fewer rows, a smaller model, or both."""

    size: int | None = None  # rows; null: as many as the mixture has
    model: str | None = None  # another option of the group `model`; null: the recipe's
    trials: int = 24  # mixtures that are trained this way, those among them that are trained both ways

    def problems(self, key: str, size: int | None) -> Iterator[str]:
        """What is wrong with this fidelity, found at `key`, in a search of mixtures of `size` rows."""
        if self.size is None and self.model is None:
            yield f"{key} gives neither size nor model: a fidelity must differ from the search in one of them"
        if self.size is not None and not 1 <= self.size < (size or math.inf):
            yield f"{key}.size is {self.size}: it must be a number of rows of at least 1, below the mixture's {size}"
        if self.trials < LEAST_PAIRS:
            yield f"{key}.trials is {self.trials}: it must be at least {LEAST_PAIRS}, or nothing is learned of it"


@dataclass
class SearchConfig:
    """A search for a better mixture: what may vary, what is wanted, who proposes, and how many times."""

    trials: int = 24  # proposals beyond the recipe's own arms, each trained with every seed
    sampler: str = "mixture"
    seed: int = 0  # of the proposals; trials have the study's seeds
    startup: int = 8  # of the proposals, those drawn at random before any is learned from
    bounds: dict[str, list[Any]] = field(default_factory=dict)  # category → [lowest, highest] share; else [0, 1]
    size: list[int] = field(default_factory=list)  # [fewest, most] rows; none: mixture.size
    trainer: dict[str, RangeConfig] = field(default_factory=dict)  # setting → its values
    objectives: dict[str, float] = field(default_factory=dict)  # benchmark → weight; none: all benchmarks, equally
    pareto: list[str] = field(default_factory=list)  # instead: benchmarks, and cost, none weighed against another
    fidelities: dict[str, FidelityConfig] = field(default_factory=dict)  # cheap runs beside the proposals
    storage: str | None = None  # an Optuna RDB URL, for workers on many machines; null: a journal in the run's folder
    prune: bool = False  # leave out a proposal's further seeds once its items say that it is worse than the best arm
    lease_seconds: float = 60.0  # a worker of another machine that is silent for so long is taken for dead

    def problems(self, categories: Collection[str], benchmarks: Collection[str], rows: int | None) -> Iterator[str]:
        """What is wrong with this section.

        Args:
            categories: Those that the recipe's mixture names.
            benchmarks: The recipe's.
            rows: The mixture's size, where it is declared.
        """
        yield from one_of("study.search.sampler", self.sampler, SAMPLERS)
        for name, least in (("trials", 1), ("startup", 0), ("seed", 0)):
            if getattr(self, name) < least:
                yield f"study.search.{name} is {getattr(self, name)}: it must be at least {least}"
        if self.storage is not None and not URL.match(self.storage):
            yield f"study.search.storage is {self.storage}: it must be a URL, such as sqlite:///search.db, or null"
        if not (math.isfinite(self.lease_seconds) and self.lease_seconds >= 1):
            yield f"study.search.lease_seconds is {self.lease_seconds}: it must be at least 1"
        yield from self._bound_problems(categories)
        if self.size and not (len(self.size) == 2 and 1 <= self.size[0] < self.size[1]):
            yield f"study.search.size is {self.size}: it must be [fewest, most] rows, the first below the second"
        yield from self._objective_problems(benchmarks)
        if self.fidelities and self.pareto:
            yield "study.search gives fidelities and pareto: cheap runs are weighed by one objective; give weights"
        for name, of in self.fidelities.items():
            yield from of.problems(f"study.search.fidelities.{name}", self.size[1] if self.size else rows)
        known = [name for name in plain_settings() if name not in FREE]
        for name, values in self.trainer.items():
            yield from one_of("study.search.trainer", name, known)
            yield from values.problems(f"study.search.trainer.{name}")

    def _bound_problems(self, categories: Collection[str]) -> Iterator[str]:
        for category, pair in self.bounds.items():
            key = f"study.search.bounds.{category}"
            if category not in categories:
                yield f"{key} is given: it must be one of the mixture's categories, {listed(sorted(categories))}"
            numbers = all(isinstance(end, (int, float)) for end in pair)
            if len(pair) != 2 or not numbers or not 0 <= pair[0] <= pair[1] <= 1:
                yield f"{key} is {pair}: it must be [lowest, highest] share, in [0, 1], the first not above the second"

    def _objective_problems(self, benchmarks: Collection[str]) -> Iterator[str]:
        if self.objectives and self.pareto:
            yield "study.search gives objectives and pareto: give weights, or objectives that are kept apart"
        for name, weight in self.objectives.items():
            yield from one_of("study.search.objectives", name, tuple(benchmarks))
            if not math.isfinite(weight) or weight <= 0:
                yield f"study.search.objectives.{name} is {weight}: a weight must be finite and above 0"
        for name in self.pareto:
            yield from one_of("study.search.pareto", name, (*benchmarks, COST))
        if self.pareto and len(set(self.pareto)) < max(2, len(self.pareto)):
            yield f"study.search.pareto is {self.pareto}: it must name at least 2 objectives, none twice"

    def weights(self, benchmarks: Collection[str]) -> Mapping[str, float]:
        """Benchmark → its part of the one objective; they sum to 1. Empty where objectives are kept apart."""
        if self.pareto:
            return {}
        given = self.objectives or {name: 1.0 for name in benchmarks}
        total = math.fsum(given.values())
        return {name: weight / total for name, weight in given.items()}
