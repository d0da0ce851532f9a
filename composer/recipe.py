"""Recipes: Hydra composes the YAML and the overrides, the schema types them, every problem is told at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from composer.checks import nearest
from composer.config import ArmConfig, ComparisonConfig, Config, MixtureConfig, ModelConfig
from composer.config_types import type_problems
from composer.errors import ConfigError
from composer.resources import conf_folder, option_file, options, recipes_folder

if TYPE_CHECKING:
    from composer.study.designs import Design

GROUPS = ("world", "pool", "mixture", "model", "trainer", "benchmarks", "study", "launcher")


@dataclass(frozen=True)
class Recipe:
    """A recipe as asked for: its config, and what its designs make of it.

    Attributes:
        name: Its name, or `default`.
        overrides: As they were given.
        config: As it was declared.
        arms: The study's arms, those of its designs added; without a study one arm, named after the recipe.
        mixtures: Each arm's mixture.
        designs: The study's designs.
        proposed: Design → the doses proposed for it so far, in rows.
        models: Arm → its model, of the arms that do not start from the recipe's.
    """

    name: str
    overrides: tuple[str, ...]
    config: Config
    arms: dict[str, ArmConfig]
    mixtures: dict[str, MixtureConfig]
    designs: tuple[Design, ...] = ()
    proposed: Mapping[str, Sequence[int]] = field(default_factory=dict)
    models: Mapping[str, ModelConfig] = field(default_factory=dict)

    @property
    def plain(self) -> dict[str, Any]:
        """The config as plain values."""
        return dict(OmegaConf.to_container(OmegaConf.structured(self.config), resolve=True))  # type: ignore[arg-type]

    @property
    def out(self) -> Path:
        """Where the results go: `out`, or `runs/RECIPE`."""
        return Path(self.config.out).expanduser() if self.config.out else Path("runs") / self.name

    @property
    def baseline(self) -> str | None:
        """The arm that gains are measured against: the declared one, else the first design's."""
        declared = self.config.study.baseline
        return declared if declared is not None or not self.designs else self.designs[0].baseline

    @property
    def comparisons(self) -> dict[str, ComparisonConfig]:
        """The declared pairs, and those of designs whose gains are not against the study's baseline."""
        added = {
            f"{design.name}_{arm}": ComparisonConfig(arm, design.baseline)
            for design in self.designs
            if "gains" in design.findings and design.baseline != self.baseline
            for arm in design.arms
            if arm != design.baseline
        }
        return {**added, **self.config.study.comparisons}


def load_recipe(name: str | None, overrides: Sequence[str]) -> Recipe:
    """Loads a recipe with overrides and checks everything that can be checked without its pool.

    Raises:
        ConfigError: The recipe is unknown, or keys, types or values are wrong; all problems are listed.
    """
    config = _compose(name, overrides)
    if problems := [*config.problems(), *_fidelity_problems(config)]:
        raise ConfigError(problems)
    return _definite(name, tuple(overrides), config, {})


def with_doses(recipe: Recipe, proposed: Mapping[str, Sequence[int]]) -> Recipe:
    """The recipe with these doses, in rows, added to its adaptive designs."""
    return _definite(recipe.name, recipe.overrides, recipe.config, proposed)


def with_arms(
    recipe: Recipe, proposed: Mapping[str, ArmConfig], model: ModelConfig | None = None, proxy_of: int | None = None
) -> Recipe:
    """The recipe with these arms, each an edit of the recipe's own mixture, after those that it has.

    Args:
        recipe: The recipe.
        proposed: The arms.
        model: What they start from, where it is not the recipe's.
        proxy_of: The rows of the mixtures that they stand for, where they stand for larger ones.
    """
    mixture = replace(recipe.config.mixture, proxy_of=proxy_of)
    mixtures = {name: replace(mixture, edits={**mixture.edits, **arm.edits}) for name, arm in proposed.items()}
    models = {} if model is None else dict.fromkeys(proposed, model)
    return replace(
        recipe,
        arms={**recipe.arms, **proposed},
        mixtures={**recipe.mixtures, **mixtures},
        models={**recipe.models, **models},
    )


def _definite(
    name: str | None, overrides: tuple[str, ...], config: Config, proposed: Mapping[str, Sequence[int]]
) -> Recipe:
    for_mixture = [text for text in overrides if text.lstrip("+~").startswith("mixture")]
    ours = {key: getattr(config.mixture, key) for key in ("size", "seed", "shortage", "max_repeats")}

    @cache
    def theirs(recipe: str) -> MixtureConfig:
        # The study's size and seed hold for every arm, so that arms are comparable.
        return replace(_compose(recipe, for_mixture).mixture, **ours)

    def mixture_of(arm: ArmConfig) -> MixtureConfig:
        mixture = config.mixture if arm.recipe in (None, name) else theirs(str(arm.recipe))
        return replace(mixture, edits={**mixture.edits, **arm.edits})

    problems = [
        f"arm {arm}: {problem}"
        for arm, declared in config.study.arms.items()
        for problem in mixture_of(declared).problems()
    ]
    if problems:
        raise ConfigError(problems)
    arms = dict(config.study.arms)
    designs: tuple[Design, ...] = ()
    if config.study.designs:
        from composer.study.designs import expand

        arms, designs = expand(config.study, mixture_of, proposed)
        if problems := list(config.study.arm_problems(arms)):
            raise ConfigError(problems)
    elif not arms:
        arms = {(name or "default").rsplit("/", 1)[-1]: ArmConfig(label=config.study.label)}
    mixtures = {arm: mixture_of(declared) for arm, declared in arms.items()}
    recipe = Recipe(name or "default", overrides, config, arms, mixtures, designs, proposed)
    if problems := list(_claim_problems(recipe)):
        raise ConfigError(problems)
    return recipe


def _claim_problems(recipe: Recipe) -> Iterator[str]:
    """What is wrong with the sides of claims about gains."""
    for name, claim in recipe.config.study.claims.items():
        against = claim.against or recipe.baseline
        if claim.arm is not None and claim.arm == against:
            yield f"study.claims.{name} compares {against} with itself: set against, or another arm"
        if claim.arm is not None and against is None:
            yield f"study.claims.{name}.against is not set, and the study has no baseline: name the other arm"


def _fidelity_problems(config: Config) -> Iterator[str]:
    """What is wrong with the models that a search's cheap runs start from."""
    for name, of in config.study.search.fidelities.items() if config.study.search is not None else ():
        if of.model is not None and of.model not in options("model"):
            yield f"study.search.fidelities.{name}.model is {of.model}: {nearest(of.model, options('model'))}"


def load_model(option: str) -> ModelConfig:
    """An option of the group `model`.

    Raises:
        ConfigError: There is no such option, or what it says is wrong.
    """
    model = _compose(None, [f"model={option}"]).model
    if problems := list(model.problems()):
        raise ConfigError(problems)
    return model


def recipe_names() -> list[str]:
    """The names of all recipes: the packaged ones, and those below `recipes/` in the current folder."""
    folders = {recipes_folder(), Path.cwd() / "recipes"}
    return sorted({str(f.relative_to(d).with_suffix("")) for d in folders for f in d.rglob("*.yaml")})


def described_recipes() -> dict[str, str]:
    """Every recipe with the first line of comment in its file."""
    roots = (Path.cwd() / "recipes", recipes_folder())
    files = {name: [root / f"{name}.yaml" for root in roots] for name in recipe_names()}
    return {name: _comment(next(file for file in some if file.is_file())) for name, some in files.items()}


def described_options(group: str) -> dict[str, str]:
    """Every option of a group with the first line of comment in its file."""
    return {name: _comment(option_file(group, name)) for name in options(group)}


def _comment(file: Path) -> str:
    lines = (line[1:].strip() for line in file.read_text(encoding="utf-8").splitlines() if line.startswith("#"))
    return next((line for line in lines if not line.startswith("@package")), "")


def as_yaml(config: Config) -> str:
    """The config as YAML, as `--cfg job` prints it and `config.yaml` keeps it."""
    return OmegaConf.to_yaml(OmegaConf.structured(config), resolve=True)


def _compose(name: str | None, overrides: Sequence[str]) -> Config:
    if name is not None and name not in recipe_names():
        raise ConfigError([f"recipe {name} is unknown: {nearest(name, recipe_names())}"])
    parsed = _parsed(overrides)
    choices = [_checked(override) for override in parsed if _is_choice(override)]
    roots = [recipes_folder().parent, Path.cwd(), *([Path.cwd() / "conf"] if (Path.cwd() / "conf").is_dir() else [])]
    search = ",".join(f"'file://{root}'" for root in roots)
    asked = [f"hydra.searchpath=[{search}]", *([f"recipes={name}"] if name else []), *choices]
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(conf_folder()), version_base="1.3"):
            plain = OmegaConf.to_container(compose("config", asked))
        # Not by Hydra, which takes no new key without a sign before it, and no list where a mapping stands.
        for override in parsed:
            if not _is_choice(override):
                plain = _over(plain, _nested(override))
        if problems := list(type_problems(Config, plain)):
            raise ConfigError(problems)
        config = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(Config), plain))
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError([_explained(error)]) from error
    except YAMLError as error:
        raise ConfigError([f"a config is not YAML: {' '.join(str(error).split())}"]) from error
    assert isinstance(config, Config)
    return config


def _parsed(overrides: Sequence[str]) -> list[Override]:
    parser, found, problems = OverridesParser.create(), [], []
    for text in overrides:
        try:
            found.append(parser.parse_override(text))
            if found[-1].is_sweep_override():
                problems.append(f"{text} gives several values: give one, in quotes where a comma is part of it")
        except HydraException:
            problems.append(f"{text} is not an override: it must be key=value, such as mixture.size=50000")
    if problems:
        raise ConfigError(problems)
    return found


def _is_choice(override: Override) -> bool:
    """Whether an override is Hydra's to apply: it chooses an option of a group, takes a key away, or is of Hydra."""
    key = override.key_or_group
    chooses = key in (*GROUPS, "recipes") and not isinstance(override.value(), dict)
    return chooses or override.is_delete() or key.split(".")[0] == "hydra"


def _checked(override: Override) -> str:
    """The override's text, its option checked."""
    key, option = override.key_or_group, override.value()
    if key in GROUPS and not override.is_delete() and option not in options(key):
        raise ConfigError([f"{key} is {option}: {nearest(str(option), options(key))}"])
    return str(override.input_line)


def _nested(override: Override) -> dict[str, Any]:
    """An override as the nested mapping it stands for."""
    value: Any = override.value()
    for part in reversed(override.key_or_group.split(".")):
        value = {part: value}
    return dict(value)


def _over(below: Any, above: Any) -> Any:
    """Two values as one: mappings are merged, of anything else what lies above counts."""
    if not isinstance(below, dict) or not isinstance(above, dict):
        return above
    return {**below, **{name: _over(below.get(name), value) for name, value in above.items()}}


def _explained(error: BaseException) -> str:
    """Hydra's innermost cause in one line, which names the key and the value."""
    chain = list(_causes(error))
    if chain[-1] is error and "Config search path" in str(error):
        return str(error).split("Config search path")[0].strip()
    for cause in reversed(chain):
        if key := getattr(cause, "full_key", None):
            return f"{key}: {str(cause).splitlines()[0]}"
    return str(chain[-1]).strip().replace("\n", " ")


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__
