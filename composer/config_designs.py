"""What a recipe may say of designs, which turn into arms, and of the claims that a study is to answer."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields

from omegaconf import MISSING

from composer.checks import listed, one_of

HOLD = ("rest", "size")
EXPECT = ("better", "worse", "equivalent", "scales", "threshold")
# The keys that each kind of design reads, beside `kind`, `label`, `base` and `prefix`.
KINDS: Mapping[str, tuple[str, ...]] = {
    "leave_one_out": ("categories", "hold"),
    "replace": ("replacements",),
    "dose_ladder": ("category", "doses", "fractions", "hold"),
    "scaling_ladder": ("categories", "sizes", "fractions", "hold"),
    "swaps": ("to", "groups", "hold"),
    "factorial": ("categories", "levels", "hold"),
    "adaptive_dose": ("category", "doses", "fractions", "hold", "benchmarks", "restore", "narrow", "max_doses"),
}
MAX_FACTORS = 5


@dataclass
class DesignConfig:
    """A family of arms that are made from one mixture, the base; `kind` says how.

    Every kind varies rows of categories; `hold` says what stays: the `rest` of the categories at their counts, so
    that the size changes, or the `size`, so that the rest is rescaled.
    """

    kind: str = MISSING
    label: str = ""
    base: str | None = None  # the arm whose mixture is varied; null: the recipe's own mixture
    prefix: str = ""  # of the names of the arms it makes
    hold: str = "rest"
    category: str | None = None  # dose_ladder, adaptive_dose
    categories: list[str] = field(default_factory=list)  # none: leave_one_out takes all, scaling_ladder the whole
    doses: list[int] = field(default_factory=list)  # rows of the category; of adaptive_dose the first ones
    sizes: list[int] = field(default_factory=list)  # scaling_ladder: rows of each category, or of the whole
    fractions: list[float] = field(default_factory=list)  # in the place of doses or sizes: multiples of the base's rows
    replacements: dict[str, list[str]] = field(default_factory=dict)  # category → those that take its rows, an arm each
    to: str | None = None  # swaps: the recipe whose counts are taken
    groups: list[list[str]] = field(default_factory=list)  # swaps: categories that change together
    levels: dict[str, list[int]] = field(default_factory=dict)  # factorial: [low, high] rows; else 0 and the base's
    benchmarks: list[str] = field(default_factory=list)  # adaptive_dose: those to restore; none: all
    restore: float = 0.95  # adaptive_dose: the part of the full-dose gain that the threshold restores
    narrow: float = 2.0  # adaptive_dose: enough is known when the interval's ends differ by this factor
    max_doses: int = 8  # adaptive_dose: doses in all, the first ones counted

    def problems(self, key: str) -> Iterator[str]:
        """What is wrong with this design, found at `key`, its base aside."""
        yield from one_of(f"{key}.kind", self.kind, tuple(KINDS))
        if self.kind not in KINDS:
            return
        read = {"kind", "label", "base", "prefix", *KINDS[self.kind]}
        for of in fields(self):
            if of.name not in read and getattr(self, of.name) != _DEFAULT[of.name]:
                yield f"{key}.{of.name} is given: kind={self.kind} reads {listed(KINDS[self.kind])}"
        yield from one_of(f"{key}.hold", self.hold, HOLD)
        for name in ("doses", "sizes", "fractions", "categories"):
            values = getattr(self, name)
            if len(set(values)) < len(values):
                yield f"{key}.{name} is {values}: it names one twice"
        yield from self._ladder_problems(key)
        if self.kind == "factorial":
            yield from self._factorial_problems(key)
        if self.kind == "replace" and not any(self.replacements.values()):
            yield f"{key}.replacements is empty: give at least one, as {{daily: [openthought]}}"
        if self.kind == "swaps" and not self.to:
            yield f"{key}.to is not set: it must be the recipe whose mixture the swaps lead to"
        if self.kind == "adaptive_dose":
            yield from self._adaptive_problems(key)

    def _ladder_problems(self, key: str) -> Iterator[str]:
        rungs = "sizes" if self.kind == "scaling_ladder" else "doses"
        if rungs not in KINDS[self.kind]:
            return
        if rungs == "doses" and not self.category:
            yield f"{key}.category is not set: it must be the category whose rows are the dose"
        given = [name for name in (rungs, "fractions") if getattr(self, name)]
        if len(given) != 1:
            yield f"{key} gives {listed(given) or 'no doses'}: it must give exactly one of {rungs} (rows) and fractions"
        elif len(getattr(self, given[0])) < 2:
            yield f"{key}.{given[0]} is {getattr(self, given[0])}: it must hold at least 2"
        least = 1 if self.kind == "scaling_ladder" else 0
        for rows in getattr(self, rungs):
            if rows < least:
                yield f"{key}.{rungs} holds {rows}: each must be a number of rows of at least {least}"
        for fraction in self.fractions:
            if not math.isfinite(fraction) or fraction < 0 or (least and fraction == 0):
                yield f"{key}.fractions holds {fraction}: each must be finite and {'above' if least else 'at least'} 0"

    def _factorial_problems(self, key: str) -> Iterator[str]:
        if not 2 <= len(self.categories) <= MAX_FACTORS:
            yield (
                f"{key}.categories is {self.categories}: a factorial takes 2 to {MAX_FACTORS} categories, "
                "as it has two arms to the power of their number"
            )
        for category, pair in self.levels.items():
            if category not in self.categories:
                yield f"{key}.levels names {category}: it must be one of {key}.categories, {listed(self.categories)}"
            if len(pair) != 2 or not 0 <= pair[0] < pair[1]:
                yield f"{key}.levels.{category} is {pair}: it must be [low, high] rows, low below high, at least 0"

    def _adaptive_problems(self, key: str) -> Iterator[str]:
        if not 0 < self.restore < 1:
            yield f"{key}.restore is {self.restore}: it must be in (0, 1), such as 0.95"
        if not (math.isfinite(self.narrow) and self.narrow > 1):
            yield f"{key}.narrow is {self.narrow}: it must be a finite factor above 1"
        first = len(self.doses or self.fractions)
        if self.max_doses < first:
            yield f"{key}.max_doses is {self.max_doses}: it must be at least the {first} first doses"


_DEFAULT = {of.name: getattr(DesignConfig(), of.name, None) for of in fields(DesignConfig) if of.name != "kind"}


@dataclass
class ClaimConfig:
    """Something that was said, and the part of this study that answers it.

    `expect` says what would confirm it: a gain that is `better`, `worse` or `equivalent`; a category that `scales`; a
    dose `threshold` at or below the `dose`.
    """

    says: str = MISSING  # what was said, in other words
    figure: str = ""  # the figures that were given for it
    source: str = ""  # where
    label: str = ""
    design: str | None = None  # the design that answers it
    arm: str | None = None  # the arm whose gain answers it, against `against` or the baseline
    against: str | None = None
    benchmarks: list[str] = field(default_factory=list)
    expect: str = MISSING
    margin: float | None = None  # for equivalent: accuracy, as a fraction; null: findings.margin
    dose: int | None = None  # for threshold: rows that are claimed to be enough
    fraction: float | None = None  # in the place of dose: a multiple of the rows in the design's base
    restore: float = 0.95  # for threshold: the part of the full-dose gain

    def problems(
        self, key: str, benchmarks: Mapping[str, object], designs: Mapping[str, DesignConfig]
    ) -> Iterator[str]:
        """What is wrong with this claim, found at `key`, its arms aside."""
        yield from one_of(f"{key}.expect", self.expect, EXPECT)
        if self.design is None and self.arm is None:
            yield f"{key} names neither a design nor an arm: say which of them answers it"
        if self.design is not None:
            yield from one_of(f"{key}.design", self.design, tuple(designs))
        if self.expect in {"scales", "threshold"} and self.design is None:
            yield f"{key}.expect is {self.expect}: a design must answer it; set {key}.design"
        if self.expect in {"better", "worse", "equivalent"} and self.arm is None:
            yield f"{key}.expect is {self.expect}: the gain of an arm answers it; set {key}.arm"
        if not self.benchmarks:
            yield f"{key}.benchmarks is empty: name those that it speaks of, of {listed(benchmarks)}"
        for name in self.benchmarks:
            yield from one_of(f"{key}.benchmarks", name, tuple(benchmarks))
        if self.margin is not None and not 0 < self.margin < 1:
            yield f"{key}.margin is {self.margin}: accuracy is a fraction, so 3 points are 0.03"
        if self.expect == "threshold" and (self.dose is None) == (self.fraction is None):
            yield f"{key} must give exactly one of dose (rows) and fraction (of the base's rows) that is claimed enough"
        for name in ("dose", "fraction"):
            if (value := getattr(self, name)) is not None and not 0 < value < math.inf:
                yield f"{key}.{name} is {value}: it must be finite and above 0"
        if not 0 < self.restore < 1:
            yield f"{key}.restore is {self.restore}: it must be in (0, 1), such as 0.95"
