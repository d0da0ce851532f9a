"""Hashes that rows are ordered and told apart by."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]

GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # the increment of splitmix64


def mix(values: Hashes) -> Hashes:
    """The finaliser of splitmix64: a bijection of 64-bit words in which every input bit stirs every output bit.

    G. L. Steele, D. Lea, C. H. Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014, with D. Stafford's
    constants (variant 13).
    """
    mixed = values ^ (values >> np.uint64(30))
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    mixed ^= mixed >> np.uint64(27)
    mixed *= np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    return mixed


def row_hash(row_id: str) -> int:
    """The unseeded sampling hash of a row's id, in [0, 2^64)."""
    return int.from_bytes(hashlib.blake2b(row_id.encode(), digest_size=8).digest(), "big")


def standings(hashes: Hashes) -> Hashes:
    """Where each row stands within its stratum: the order in which pools keep rows and mixtures of seed 0 take them."""
    return mix(hashes ^ mix(np.array([GOLDEN])))
