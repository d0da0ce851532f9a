"""Designs that take a category away, put another in its place, or go from one mixture to another step by step."""

from __future__ import annotations

from collections.abc import Iterator

from composer.config import EditConfig
from composer.errors import ConfigError
from composer.study.designs.variants import BASE, Family, Setting, Variant, with_rows


def leave_one_out(setting: Setting) -> Family:
    """The base, and the base without each of the categories."""
    categories = setting.config.categories or [category for category, rows in setting.rows.items() if rows]
    _require(setting, "categories", categories)
    drops = [
        Variant(
            f"without_{category}",
            f"without {category}",
            EditConfig(drop=category) if setting.config.hold == "rest" else with_rows({category: 0}, "size"),
            category,
            0,
        )
        for category in categories
    ]
    return Family((BASE, *drops), BASE.name)


def replace(setting: Setting) -> Family:
    """The base, and the base with one category's rows given to another, at the same size."""
    replacements = setting.config.replacements
    _require(setting, "replacements", list(replacements))
    return Family((BASE, *_replaced(setting)), BASE.name)


def _replaced(setting: Setting) -> Iterator[Variant]:
    for old, others in setting.config.replacements.items():
        for new in others:
            if new == old:
                raise ConfigError([f"{setting.key}.replacements.{old} holds {new}: a category is replaced by another"])
            yield Variant(f"{new}_for_{old}", f"{new} for {old}", EditConfig(replace={old: new}), old, 0)


def swaps(setting: Setting) -> Family:
    """The base, the base with one category or group at the other mixture's rows, and that other mixture's rows all.

    With the size held, the rest is rescaled after each swap.
    """
    rows, target, config = setting.rows, setting.target, setting.config
    differing = [name for name in sorted({*rows, *target}) if rows.get(name, 0) != target.get(name, 0)]
    if not differing:
        raise ConfigError([f"{setting.key}.to is {config.to}: its mixture has the base's rows; name one that differs"])
    grouped = [category for group in config.groups for category in group]
    problems = [
        f"{setting.key}.groups names {category}: it must be one of those that differ, {', '.join(differing)}, once"
        for category in dict.fromkeys(grouped)
        if category not in differing or grouped.count(category) > 1
    ]
    if problems:
        raise ConfigError(problems)
    groups = [*config.groups, *([category] for category in differing if category not in grouped)]
    named = str(config.to).rsplit("/", 1)[-1]
    single = [
        Variant(
            f"{'_'.join(group)}_of_{named}",
            f"{' and '.join(group)} as in {named}",
            with_rows({category: target.get(category, 0) for category in group}, config.hold),
            group[0] if len(group) == 1 else None,
            target.get(group[0], 0) if len(group) == 1 else None,
        )
        for group in groups
    ]
    everything = EditConfig(set={category: target.get(category, 0) for category in differing}, rest="fixed")
    return Family((BASE, *single, Variant(f"all_of_{named}", f"as {named}", everything)), BASE.name)


def _require(setting: Setting, name: str, categories: list[str]) -> None:
    absent = [category for category in categories if not setting.rows.get(category)]
    if absent:
        held = ", ".join(category for category, rows in setting.rows.items() if rows)
        said = f"the base has no such rows; it holds {held}"
        raise ConfigError([f"{setting.key}.{name} names {category}: {said}" for category in absent])
