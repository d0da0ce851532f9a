"""Filters: what may be wrong with a row, each a pure function on a batch of rows, registered by name."""

from composer.pool.filters import encoding, gold, images, korean, lengths, thinking  # noqa: F401  # they register themselves
from composer.pool.filters.batch import Batch
from composer.pool.filters.rules import RULES, Reasons, Rule, first_reasons

__all__ = ["RULES", "Batch", "Reasons", "Rule", "first_reasons"]
