"""Designs that vary how many rows there are of something: of one category, of several, of the whole mixture."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from composer.config import EditConfig
from composer.errors import ConfigError
from composer.study.designs.variants import Family, Setting, Variant, multiple, with_rows


def dose_ladder(setting: Setting) -> Family:
    """One category at several doses; the lowest is what the others are measured against."""
    category = str(setting.config.category)
    doses = sorted(_rungs(setting, "doses", setting.config.doses, setting.rows.get(category, 0)))
    variants = tuple(_dose(setting, category, dose) for dose in doses)
    return Family(variants, variants[0].name)


def adaptive_dose(setting: Setting) -> Family:
    """The first doses and those that were proposed since, in that order."""
    category = str(setting.config.category)
    first = _rungs(setting, "doses", setting.config.doses, setting.rows.get(category, 0))
    doses = list(dict.fromkeys([*sorted(first), *setting.proposed]))
    variants = tuple(_dose(setting, category, dose) for dose in doses)
    return Family(variants, variants[0].name)


def scaling_ladder(setting: Setting) -> Family:
    """Each category at several sizes, the rest held, or the whole mixture with its shares kept.

    Mixtures of one category's ladder with the rest held, and those of the whole, lie each within the next.
    """
    if not setting.config.categories:
        sizes = sorted(_rungs(setting, "sizes", setting.config.sizes, setting.size))
        variants = [Variant(f"size_{size}", f"{size:,} rows", EditConfig(resize=size), None, size) for size in sizes]
    else:
        variants = list(_by_category(setting))
    return Family(tuple(variants), variants[0].name)


def _by_category(setting: Setting) -> Iterator[Variant]:
    if setting.config.hold == "size" and len(setting.config.categories) > 1:
        raise ConfigError(
            [
                f"{setting.key}.hold is size with several categories: what one gains another loses, so that neither "
                "scales alone; set hold=rest, or name one category"
            ]
        )
    for category in setting.config.categories:
        for size in sorted(_rungs(setting, "sizes", setting.config.sizes, setting.rows.get(category, 0))):
            yield _dose(setting, category, size)


def _dose(setting: Setting, category: str, dose: int) -> Variant:
    edit = with_rows({category: dose}, setting.config.hold)
    return Variant(f"{category}_{dose}", f"{category} {dose:,}", edit, category, dose)


def _rungs(setting: Setting, name: str, given: Sequence[int], rows: int) -> list[int]:
    """The rows that a ladder declares, as they are or as multiples of the base's."""
    if given:
        return list(given)
    fractions = setting.config.fractions
    found = [multiple(fraction, rows) for fraction in fractions]
    if len(set(found)) < len(found):
        raise ConfigError(
            [
                f"{setting.key}.fractions is {fractions}: of the base's {rows:,} rows that makes {found}, one of them "
                f"twice; choose fractions that differ by a row, or give {name}"
            ]
        )
    return found
