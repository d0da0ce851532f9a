"""Duplicates: rows that say the same, or nearly. Which of them is kept does not depend on the order of the input."""

from composer.pool.duplicates.keys import hashed, normalised
from composer.pool.duplicates.near import PERMUTATIONS, band_keys, near, signatures
from composer.pool.duplicates.same import same

__all__ = ["PERMUTATIONS", "band_keys", "hashed", "near", "normalised", "same", "signatures"]
