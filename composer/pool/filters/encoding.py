"""Text that was broken on its way."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from composer.pool.filters.batch import Batch
from composer.pool.filters.rules import Reasons, rule

CONTROL = r"[\x00-\x08\x0B\x0C\x0E-\x1F\x7F\x{80}-\x{9F}]"
# The replacement character, or Hangul in UTF-8 that was read as Latin-1: ì, í, ë or ê and two of the bytes behind it.
BROKEN = r"\x{FFFD}|(?:[ê-í][\x{80}-\x{BF}]{2}){2}"


@rule("encoding")
def encoding(batch: Batch) -> Reasons:
    """No control characters, no replacement characters, no UTF-8 read as Latin-1."""
    control, broken = (
        batch.by_row(np.asarray(pc.match_substring_regex(batch.contents, pattern))) > 0 for pattern in (CONTROL, BROKEN)
    )
    return {"is broken": broken, "has control characters": control}


def composed(texts: pa.StringArray) -> pa.StringArray:
    """(n,) texts in Unicode's normal form C, in which a syllable of Hangul is one character."""
    return pc.utf8_normalize(texts, "NFC")
