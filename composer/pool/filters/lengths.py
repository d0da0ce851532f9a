"""Rows that are too short, too long, or whose answer is not there."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from composer.errors import PoolError
from composer.pool.filters.batch import Batch
from composer.pool.filters.rules import Reasons, rule

CUT = r"(?:[,:;·(\[{]|\\)$"  # what a sentence, a formula or a line of code goes on behind


@rule("characters")
def characters(batch: Batch, *, least: int = 0, most: int = 1 << 30) -> Reasons:
    """From `least` to `most` characters in all turns together."""
    size = batch.by_row(np.asarray(pc.utf8_length(batch.contents)))
    return {"too short": size < least, "too long": size > most}


@rule("tokens")
def tokens(batch: Batch, *, least: int = 0, most: int = 1 << 30) -> Reasons:
    """From `least` to `most` tokens, as the pool's tokeniser counts them."""
    size = batch.n_tokens
    return {"too short": size < least, "too long": size > most}


@rule("answer")
def answer(batch: Batch, *, least: int = 1) -> Reasons:
    """A response that says something, of at least `least` characters after </think>, and is not cut off."""
    trimmed = pc.utf8_trim_whitespace(batch.answer)
    size = np.asarray(pc.utf8_length(trimmed))
    fences = np.asarray(pc.count_substring(trimmed, "```"))
    cut = np.asarray(pc.match_substring_regex(trimmed, CUT)) | (fences % 2 == 1)
    return {"no response": batch.response_place < 0, "empty": size == 0, "too short": size < least, "cut off": cut}


@rule("length_ratio")
def length_ratio(batch: Batch, *, column: str = "original", least: float = 0.3, most: float = 3.0) -> Reasons:
    """Characters of a translated row over those of its original, in `column`; rows without an original are kept."""
    original = np.asarray(pc.fill_null(pc.utf8_length(column_of(batch, column)), 0)).astype(float)
    size = np.asarray(pc.utf8_length(batch.response))
    ratio = size / np.maximum(original, 1)
    return {"too short": (original > 0) & (ratio < least), "too long": (original > 0) & (ratio > most)}


def column_of(batch: Batch, name: str) -> pa.Array:
    """(n,) a column of the rows beside their messages.

    Raises:
        PoolError: They have none of that name.
    """
    if name not in batch.table.column_names:
        raise PoolError(f"a filter needs the column {name}: the rows have {', '.join(batch.table.column_names)}")
    return batch.table[name].combine_chunks()
