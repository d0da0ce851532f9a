"""A Korean model answers in Korean, and learns it from rows that do: English-only ones made the Ko-R1-3 loss spike."""

from __future__ import annotations

from composer.pool.filters.batch import Batch
from composer.pool.filters.letters import letters, prose
from composer.pool.filters.rules import Reasons, rule


@rule("korean_response")
def korean_response(batch: Batch, *, words: int = 1, share: float = 0.0) -> Reasons:
    """Korean in the response after </think>, code and LaTeX left out of the count.

    Args:
        batch: (n,) rows.
        words: That hold Hangul, at least.
        share: Of Hangul among the letters, at least.
    """
    told = letters(prose(batch.answer))
    return {
        "no Korean": told.hangul == 0,
        "too little Korean": (told.hangul_words < words) | (told.hangul_share < share),
    }


@rule("korean_prompt")
def korean_prompt(batch: Batch, *, words: int = 1, share: float = 0.0) -> Reasons:
    """Korean in the last turn of the user, as in `korean_response`."""
    told = letters(prose(batch.prompt))
    return {
        "no Korean": told.hangul == 0,
        "too little Korean": (told.hangul_words < words) | (told.hangul_share < share),
    }
