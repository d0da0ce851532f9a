"""A reasoning row thinks once, where it should."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pyarrow.compute as pc

from composer.pool.filters.batch import CLOSE, OPEN, Batch
from composer.pool.filters.letters import Letters, prose
from composer.pool.filters.rules import Reasons, rule

Language = Literal["korean", "english"]


@rule("one_thinking")
def one_thinking(batch: Batch) -> Reasons:
    """One <think>…</think> pair, in the last turn of the assistant, closed and not empty."""
    opened, closed = (np.asarray(pc.count_substring(batch.contents, mark)).astype(np.int64) for mark in (OPEN, CLOSE))
    opens, closes = batch.by_row(opened), batch.by_row(closed)
    place = batch.response_place
    inside = (place >= 0) & (opened[place] == opens) & (closed[place] == closes) if len(opened) else place >= 0
    empty = np.asarray(pc.equal(pc.utf8_trim_whitespace(batch.thinking), ""))
    return {
        "none": (opens == 0) & (closes == 0),
        "several": (opens > 1) | (closes > 1),
        "never closed": closes == 0,
        "never opened": opens == 0,
        "not in the assistant's turn": ~inside,
        "closed before it is opened": ~batch.has_thinking,
        "empty": empty,
    }


@rule("no_thinking")
def no_thinking(batch: Batch) -> Reasons:
    """No <think> or </think> in any turn."""
    marked = pc.or_(pc.match_substring(batch.contents, OPEN), pc.match_substring(batch.contents, CLOSE))
    return {"thinks": batch.by_row(np.asarray(marked)) > 0}


@rule("thinking_language")
def thinking_language(batch: Batch, *, language: Language = "korean", share: float = 0.5) -> Reasons:
    """At least `share` of the letters of the thinking are of `language`: korean or english; code and LaTeX left out."""
    told = Letters(prose(batch.thinking))
    every = np.maximum(told.hangul + told.latin + told.others, 1)
    wanted = told.hangul if language == "korean" else told.latin
    return {f"is not {language}": batch.has_thinking & (wanted / every < share)}
