"""Pools: rows in one schema, and the small columnar index that mixtures are composed from."""

from composer.pool.build import Row, build_pool
from composer.pool.hashes import row_hash
from composer.pool.index import Index
from composer.pool.open import open_pool
from composer.pool.store import Pool

__all__ = ["Index", "Pool", "Row", "build_pool", "open_pool", "row_hash"]
