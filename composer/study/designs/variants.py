"""What a family of arms is made of: a base's rows by category, and variants of it, each one edit away."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from math import floor

from composer.config import EditConfig
from composer.config_designs import DesignConfig

HALF = Fraction(1, 2)


@dataclass(frozen=True)
class Setting:
    """What a family is made from.

    Attributes:
        key: Where the design stands in the recipe, such as `study.designs.dose`.
        config: What it says.
        rows: The base's rows by category.
        target: Of `swaps`, the other mixture's rows by category.
        proposed: Of `adaptive_dose`, the doses proposed so far, in rows.
    """

    key: str
    config: DesignConfig
    rows: Mapping[str, int]
    target: Mapping[str, int] = field(default_factory=dict)
    proposed: tuple[int, ...] = ()

    @property
    def size(self) -> int:
        """The base's rows."""
        return sum(self.rows.values())


@dataclass(frozen=True)
class Variant:
    """One mixture of a family.

    Attributes:
        name: Of its arm, where no other arm is the same mixture.
        label: Its name for people.
        edit: What makes it of the base; None for the base itself.
        category: The category that is varied; None where it is the whole, or several.
        dose: The rows of `category`, or of the whole; None where there is no dose.
        levels: Of a factorial, 0 (low) or 1 (high) for each factor.
    """

    name: str
    label: str
    edit: EditConfig | None
    category: str | None = None
    dose: int | None = None
    levels: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Effect:
    """A contrast of several arms.

    Attributes:
        name: Of a main effect the factor, of an interaction the factors joined by ` × `.
        factors: The factors.
        weights: Variant → weight; they sum to 0. The effect is the weighted sum of the variants' scores.
    """

    name: str
    factors: tuple[str, ...]
    weights: Mapping[str, float]


@dataclass(frozen=True)
class Family:
    """The variants of one design.

    Attributes:
        variants: In their order.
        baseline: The name of the variant that the others are measured against.
        effects: Of a factorial, its main effects and interactions.
    """

    variants: tuple[Variant, ...]
    baseline: str
    effects: tuple[Effect, ...] = ()


BASE = Variant("base", "base", None)


def with_rows(rows: Mapping[str, int], hold: str) -> EditConfig:
    """The edit that gives categories these rows while the rest stays, or the size."""
    return EditConfig(set=dict(rows), rest="fixed" if hold == "rest" else "rescaled")


def multiple(fraction: float, rows: int) -> int:
    """A multiple of `rows`, to the nearest row, a half upwards; the fraction counts as it is written."""
    return floor(Fraction(repr(fraction)) * rows + HALF)
