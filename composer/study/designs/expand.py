"""Turns a recipe's designs into arms, each mixture once, and says what the findings need to know of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from composer.config import ArmConfig, MixtureConfig, StudyConfig
from composer.config_designs import DesignConfig
from composer.errors import ConfigError
from composer.mixture.planned import planned_rows
from composer.pool import Index
from composer.study.designs.factorial import factorial
from composer.study.designs.ladders import adaptive_dose, dose_ladder, scaling_ladder
from composer.study.designs.swaps import leave_one_out, swaps
from composer.study.designs.swaps import replace as replace_at_size
from composer.study.designs.variants import Effect, Family, Setting, Variant

FAMILIES: Mapping[str, Callable[[Setting], Family]] = {
    "leave_one_out": leave_one_out,
    "replace": replace_at_size,
    "dose_ladder": dose_ladder,
    "scaling_ladder": scaling_ladder,
    "swaps": swaps,
    "factorial": factorial,
    "adaptive_dose": adaptive_dose,
}
FINDINGS: Mapping[str, tuple[str, ...]] = {
    "leave_one_out": ("gains",),
    "replace": ("gains",),
    "dose_ladder": ("dose",),
    "scaling_ladder": ("scaling",),
    "swaps": ("gains",),
    "factorial": ("effects",),
    "adaptive_dose": ("dose",),
}


@dataclass(frozen=True)
class Point:
    """One arm of a design.

    Attributes:
        arm: Its name; several designs may share it.
        category: The category that is varied; None where it is the whole, or several.
        dose: Rows of `category`, or of the whole; None where there is no dose.
        size: Rows of the whole mixture.
        levels: Of a factorial, 0 (low) or 1 (high) for each factor.
    """

    arm: str
    category: str | None
    dose: int | None
    size: int
    levels: Mapping[str, int]


@dataclass(frozen=True)
class Design:
    """A design made definite.

    Attributes:
        name: Its key in the recipe.
        kind: One of `FAMILIES`.
        label: Its name for people.
        hold: What stays as rows vary: `rest` or `size`.
        findings: What is to be made of it: `gains`, `dose`, `scaling`, `effects`.
        base: The arm that was varied; None for the recipe's own mixture.
        base_rows: The base's rows by category.
        baseline: The arm that the others are measured against.
        points: Its arms, in order.
        effects: Of a factorial, the contrasts; their weights are by arm.
        config: All that the recipe says of it.
    """

    name: str
    kind: str
    label: str
    hold: str
    findings: tuple[str, ...]
    base: str | None
    base_rows: Mapping[str, int]
    baseline: str
    points: tuple[Point, ...]
    effects: tuple[Effect, ...]
    config: DesignConfig

    @property
    def arms(self) -> tuple[str, ...]:
        """The names of its arms, each once."""
        return tuple(dict.fromkeys(point.arm for point in self.points))


MixtureOf = Callable[[ArmConfig], MixtureConfig]
_Same = tuple[tuple[tuple[str, int], ...], bool]


@dataclass
class _Arms:
    """The arms so far, and which of them is which mixture."""

    mixture_of: MixtureOf
    declared: dict[str, ArmConfig] = field(default_factory=dict)
    by_mixture: dict[_Same, str] = field(default_factory=dict)

    def rows(self, arm: ArmConfig) -> dict[str, int]:
        return planned_rows(self.mixture_of(arm))

    def same(self, arm: ArmConfig) -> _Same:
        mixture = self.mixture_of(arm)
        rows = tuple((category, count) for category, count in planned_rows(mixture).items() if count)
        # Under redistribute, what is lacking goes by the quotas where there are no edits and by rows where there are.
        return rows, mixture.shortage == "redistribute" and not mixture.edits


def expand(
    study: StudyConfig, mixture_of: MixtureOf, proposed: Mapping[str, Sequence[int]]
) -> tuple[dict[str, ArmConfig], tuple[Design, ...]]:
    """The study's arms, those of its designs added, and its designs.

    A mixture that is there already, as an arm of the recipe or of an earlier design, is not added again.

    Args:
        study: The recipe's study.
        mixture_of: Gives an arm's mixture.
        proposed: Design → the doses that were proposed for it so far, in rows; adaptive designs only.

    Raises:
        ConfigError: Designs cannot be made from their bases, or two different arms have one name; all are listed.
    """
    arms = _Arms(mixture_of, dict(study.arms))
    problems: list[str] = []
    for name, arm in study.arms.items():
        if mixture_of(arm).by != "tokens":
            arms.by_mixture.setdefault(arms.same(arm), name)
    designs = []
    for name, config in study.designs.items():
        try:
            designs.append(_made(f"study.designs.{name}", name, config, arms, tuple(proposed.get(name, ()))))
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(problems)
    return arms.declared, tuple(designs)


def _made(key: str, name: str, config: DesignConfig, arms: _Arms, proposed: tuple[int, ...]) -> Design:
    if config.base is not None and config.base not in arms.declared:
        raise ConfigError([f"{key}.base is {config.base}: it must be one of the arms {', '.join(arms.declared)}"])
    base = ArmConfig() if config.base is None else arms.declared[config.base]
    if arms.mixture_of(base).by == "tokens":
        raise ConfigError([f"{key} is made from a mixture with by=tokens: designs count rows; use by=share or by=rows"])
    target = arms.rows(ArmConfig(recipe=config.to)) if config.to is not None else {}
    rows = arms.rows(base)
    family = FAMILIES[config.kind](Setting(key, config, rows, target, proposed))
    points, problems = {}, []
    for variant in family.variants:
        try:
            points[variant.name] = _placed(key, config, base, variant, arms)
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(problems)
    effects = tuple(
        replace(effect, weights={points[variant].arm: weight for variant, weight in effect.weights.items()})
        for effect in family.effects
    )
    return Design(
        name=name,
        kind=config.kind,
        label=config.label or name,
        hold="size" if config.kind == "replace" else config.hold,
        findings=FINDINGS[config.kind],
        base=config.base,
        base_rows=rows,
        baseline=points[family.baseline].arm,
        points=tuple(points.values()),
        effects=effects,
        config=config,
    )


def _placed(key: str, config: DesignConfig, base: ArmConfig, variant: Variant, arms: _Arms) -> Point:
    """The variant's arm, which is added where no arm is its mixture."""
    name = config.prefix + variant.name
    if variant.edit is None:
        arm = base if config.base is not None else ArmConfig(label=variant.label)
    else:
        arm = replace(base, label=variant.label, edits={**base.edits, _free(name, arms.mixture_of(base)): variant.edit})
    try:
        same = arms.same(arm)
    except ConfigError as error:
        raise ConfigError([f"{key}, arm {name}: {problem}" for problem in error.problems]) from error
    if same not in arms.by_mixture:
        if name in arms.declared:
            raise ConfigError(
                [f"{key} makes an arm {name}, and another mixture has that name: set {key}.prefix to tell them apart"]
            )
        arms.declared[name] = arm
        arms.by_mixture[same] = name
    size = sum(rows for _, rows in same[0])
    return Point(arms.by_mixture[same], variant.category, variant.dose, size, dict(variant.levels))


def _free(name: str, mixture: MixtureConfig) -> str:
    """The name of the arm's edit, which the base's edits must not have."""
    while name in mixture.edits:
        name += "_"
    return name


def pool_problems(designs: Sequence[Design], mixtures: Mapping[str, MixtureConfig], index: Index) -> Iterator[str]:
    """What the designs ask of a pool that does not have it, one line a design and category."""
    known = index.categories
    available = {category: sum(index.sizes[place] for place in index.strata_of(category)) for category in known}
    for design in designs:
        asked: dict[str, tuple[int, str]] = {}
        for arm in design.arms:
            for category, rows in planned_rows(mixtures[arm]).items():
                asked[category] = max(asked.get(category, (0, arm)), (rows, arm))
        policy = mixtures[design.baseline]
        if policy.shortage == "redistribute":
            continue
        passes = policy.max_repeats if policy.shortage == "repeat" else 1
        for category, (rows, arm) in sorted(asked.items()):
            key = f"study.designs.{design.name}"
            if category not in known:
                yield f"{key} names {category}: the pool has no such category; it must be one of {', '.join(known)}"
            elif rows > passes * available[category]:
                times = f" at most {passes} times" if passes > 1 else ""
                yield (
                    f"{key} asks for {rows:,} rows of {category} (arm {arm}): the pool has "
                    f"{available[category]:,}{times}; ask for fewer, or set mixture.shortage=repeat"
                )
