"""A Korean model answers in Korean, and learns it from rows that do: English-only ones made the Ko-R1-3 loss spike."""

from __future__ import annotations

import pyarrow as pa

from composer.pool.filters.batch import Batch
from composer.pool.filters.letters import Letters, prose
from composer.pool.filters.rules import Reasons, rule


@rule("korean_response")
def korean_response(batch: Batch, *, words: int = 1, share: float = 0.0) -> Reasons:
    """Korean in the response after </think>, code and LaTeX left out of the count.

    Args:
        batch: (n,) rows.
        words: That hold Hangul, at least.
        share: Of Hangul among the letters, at least.
    """
    return _korean(batch.answer, words, share)


@rule("korean_prompt")
def korean_prompt(batch: Batch, *, words: int = 1, share: float = 0.0) -> Reasons:
    """Korean in the last turn of the user, as in `korean_response`."""
    return _korean(batch.prompt, words, share)


def _korean(texts: pa.StringArray, words: int, share: float) -> Reasons:
    told = Letters(prose(texts))
    few = told.hangul == 0
    if words > 1:
        few = few | (told.hangul_words < words)
    if share > 0:
        few = few | (told.hangul_share < share)
    return {"no Korean": told.hangul == 0, "too little Korean": few}
