"""The recipe that trains a recommended mixture: for a run beside its baseline and its best measured mixture."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from composer.config import Config, FindingsConfig
from composer.errors import OutputError
from composer.findings.fit import Fit
from composer.findings.trained import Mixture, Trained
from composer.recipe import load_recipe
from composer.resources import options
from composer.study.domain import SIZE

ARM = "recommended"
GROUPS = ("pool", "model", "trainer", "benchmarks")
WRITTEN = "# The mixture that `composer fit"
ROWS = 50_000  # of a mixture from a CSV, where no size is given


def recipe_path(trained: Trained) -> Path:
    """Where the recipe goes unless a path is given: `recipes/NAME_best.yaml` below the current folder."""
    name = re.sub(r"[^\w/.-]+", "_", trained.name).strip("/.") or "fit"
    return Path("recipes") / f"{name}_best.yaml"


def recipe_name(path: Path) -> str | None:
    """What `composer plan` calls the recipe in this file; None where it does not lie below `recipes/` here."""
    root = Path("recipes").resolve()
    whole = path.expanduser().resolve()
    return (
        str(whole.relative_to(root).with_suffix("")) if whole.is_relative_to(root) and whole.suffix == ".yaml" else None
    )


def recipe_text(trained: Trained, found: Fit, size: int | None = None) -> str:
    """The recipe as YAML.

    Args:
        trained: What it was learned from.
        found: The fit.
        size: Rows, for a CSV; a run's recipe keeps the run's.
    """
    from omegaconf import OmegaConf

    if trained.config is not None and trained.plan is not None:
        body = _of_run(trained, found, trained.config)
    else:
        body = {
            # The packaged pools have other categories: this one is said on the command line, as pool.path=….
            "defaults": [{"override /pool": "files"}, {"override /mixture": "custom"}, "_self_"],
            "mixture": {"by": "share", "size": size or ROWS, "quotas": _quotas(found)},
            "study": {"label": f"The mixture that a fit of {trained.name} recommends"},
        }
    head = [
        "# @package _global_",
        f"{WRITTEN} {trained.source}` recommends, from {found.mixtures} measured ones.",
    ]
    return "\n".join(head) + "\n" + OmegaConf.to_yaml(OmegaConf.create(_without_empty(body)))


def check_free(path: Path, text: str | None, force: bool) -> None:
    """Refuses to overwrite a file that holds something else.

    Args:
        path: Of the recipe.
        text: What it will hold; None where that is not known yet: then a file that no fit wrote is refused.
        force: Whether it may be overwritten.

    Raises:
        OutputError: There is another file, or a folder.
    """
    if path.is_dir():
        raise OutputError(f"--recipe is {path}, which is a folder: give a file, such as {path / 'best.yaml'}")
    if force or not path.exists():
        return
    held = path.read_text(encoding="utf-8", errors="replace")
    if held != text if text is not None else WRITTEN not in held:
        raise OutputError(
            f"{path} is there and holds another recipe: give another path with --recipe, overwrite it with --force, or "
            "leave it with --no-recipe"
        )


def _of_run(trained: Trained, found: Fit, config: Config) -> dict[str, Any]:
    """A recipe that stands by itself: what differs from the options of the groups is written out."""
    plain = asdict(config)
    named = {group: plain[group]["name"] for group in GROUPS}
    known = [f"{group}={name}" for group, name in named.items() if name in options(group)]
    base = asdict(load_recipe(None, known).config)
    # What an option has and the run has not cannot be taken away in YAML: then the section stands without an option.
    chosen = {
        group: None if f"{group}={name}" not in known or _lacks(plain[group], base[group]) else name
        for group, name in named.items()
    }
    arms, best = {}, _arm_name(trained)
    arms[best] = {"label": "the recommended mixture", "trainer": _trainer(trained, found)}
    others = _others(trained, found)
    for name, (label, one) in others.items():
        edit = {"set": dict(one.rows), "rest": "fixed"}
        arms[name] = {"label": label, "edits": {f"as_{name}": edit}, "trainer": dict(one.trainer)}
    kept = {name: plain["mixture"][name] for name in ("seed", "shortage", "max_repeats")}
    size = int(found.recommended.settings.get(SIZE, trained.size or 0))
    study: dict[str, Any] = {"label": f"The recommended mixture of {trained.name}", "seeds": config.study.seeds}
    study |= {"baseline": next(iter(others)), "arms": arms}
    if len(others) > 1:
        study["comparisons"] = {"over_the_best": {"arm": best, "against": list(others)[-1]}}
    written = {group: _differing(base[group], plain[group]) if chosen[group] else plain[group] for group in GROUPS}
    judged = {**plain["findings"], "reference": None, "pilot": None}
    written["findings"] = _differing(asdict(FindingsConfig()), judged)
    return {
        "defaults": [
            *({f"override /{group}": name} for group, name in {**chosen, "mixture": "custom"}.items()), "_self_",
        ],
        **written,
        "mixture": {"by": "share", "size": size, **kept, "quotas": _quotas(found)},
        "study": study,
    }  # fmt: skip


def _others(trained: Trained, found: Fit) -> dict[str, tuple[str, Mixture]]:
    """The arms beside the recommended one, by name: the run's baseline, then the best measured mixture."""
    by_name = {one.name: one for one in trained.mixtures}
    baseline = (trained.plan or {}).get("baseline")
    told: dict[str, tuple[str, Mixture]] = {}
    if baseline in by_name and baseline != found.best.name:
        told[baseline] = ("the baseline", by_name[baseline])
    name = str(found.best.name)
    told[name] = ("the best measured mixture", by_name[name])
    return told


def _arm_name(trained: Trained) -> str:
    """A name that no arm of the run has."""
    taken = {one.name for one in trained.mixtures}
    numbers = iter(range(2, len(taken) + 3))
    name = ARM
    while name in taken:
        name = f"{ARM}_{next(numbers)}"
    return name


def _trainer(trained: Trained, found: Fit) -> dict[str, Any]:
    """What the recommended arm sets of the trainer: what all trials set alike, and its own settings."""
    alike = dict(trained.mixtures[0].trainer)
    for one in trained.mixtures:
        alike = {name: value for name, value in alike.items() if one.trainer.get(name) == value}
    return {**alike, **{name: value for name, value in found.recommended.settings.items() if name != SIZE}}


def _quotas(found: Fit) -> dict[str, float]:
    return dict(found.recommended.shares)


def _lacks(own: Mapping[str, Any], base: Mapping[str, Any]) -> bool:
    """Whether `base` has a key, at any depth, that `own` has not."""
    return any(
        name not in own or (isinstance(part, dict) and isinstance(own[name], dict) and _lacks(own[name], part))
        for name, part in base.items()
    )


def _without_empty(told: Mapping[str, Any]) -> dict[str, Any]:
    """Without the sections that say nothing."""
    parts = {name: _without_empty(part) if isinstance(part, dict) else part for name, part in told.items()}
    return {name: part for name, part in parts.items() if part != {}}


def _differing(base: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """What `own` has otherwise than `base`, section by section."""
    told: dict[str, Any] = {}
    for name, value in own.items():
        if isinstance(value, dict) and isinstance(base.get(name), dict):
            if part := _differing(base[name], value):
                told[name] = part
        elif name not in base or base[name] != value:
            told[name] = value
    return told
