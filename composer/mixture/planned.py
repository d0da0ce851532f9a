"""The rows of each category that a mixture asks for, as far as they are known without its pool."""

from __future__ import annotations

from composer.config import MixtureConfig
from composer.mixture.edits import apply_edits
from composer.mixture.quotas import declared_rows


def planned_rows(config: MixtureConfig) -> dict[str, int]:
    """The rows of each category after quotas and edits, before any shortage; sorted by name.

    Every category that the config names is taken to be in the pool.

    Raises:
        ConfigError: The quotas are tokens, or an edit cannot be met by any pool.
    """
    named = set(config.quotas)
    for edit in config.edits.values():
        named |= {*(edit.replace or {}), *(edit.replace or {}).values(), *(edit.set or {}), *(edit.share or {})}
    return apply_edits(declared_rows(config), config.edits, sorted({*named, *_dropped(config)}))


def _dropped(config: MixtureConfig) -> set[str]:
    return {edit.drop for edit in config.edits.values() if edit.drop is not None}
