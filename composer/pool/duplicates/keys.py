"""Texts as duplicates are told by: what spacing, case and the ends of sentences change does not count."""

from __future__ import annotations

import hashlib

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

# Only behind a sentence: within a number, a formula or code the same marks mean something.
END = r"[.!?~…。]+(\s|$)"


def normalised(texts: pa.StringArray) -> pa.StringArray:
    """(n,) texts in lower case and normal form C, without white space and the marks that end sentences."""
    lower = pc.utf8_lower(pc.utf8_normalize(texts, "NFC"))
    return pc.replace_substring_regex(pc.replace_substring_regex(lower, END, " "), r"\s+", "")


def hashed(texts: pa.StringArray) -> NDArray[np.uint64]:
    """(n,) a hash of each text. Two of seven million texts share one by chance once in a million pools."""
    blake = hashlib.blake2b
    digests = b"".join(blake(text, digest_size=8).digest() for text in texts.cast(pa.binary()).to_pylist())
    return np.frombuffer(digests, dtype="<u8").astype(np.uint64)
