"""Answers with their thinking, and without."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from composer.config_pool import NoThinkConfig
from composer.pool.filters.batch import CLOSE, OPEN, Batch, Mask
from composer.pool.sources.declared import with_contents

THINK, NO_THINK = "think", "no_think"


def without_thinking(messages: pa.ListArray, asked: NoThinkConfig, chosen: Mask) -> pa.ListArray:
    """The messages, those `chosen` (n,) with the switch behind the question and the answer alone."""
    batch = Batch(pa.table({"messages": messages}))
    contents = np.array(batch.contents.to_pylist(), dtype=object)
    rows = np.flatnonzero(chosen)
    before = f"{OPEN}\n\n{CLOSE}\n\n" if asked.tags else ""
    answers = pc.utf8_ltrim_whitespace(batch.answer)
    for row in rows:
        contents[batch.response_place[row]] = before + answers[row].as_py()
        if batch.prompt_place[row] >= 0:
            contents[batch.prompt_place[row]] += asked.switch
    return with_contents(messages, pa.array(contents, pa.string()))


def modes(messages: pa.ListArray) -> pa.StringArray:
    """(n,) `think` where something stands between <think> and </think> in the response, else `no_think`."""
    batch = Batch(pa.table({"messages": messages}))
    empty = np.asarray(pc.equal(pc.utf8_trim_whitespace(batch.thinking), ""))
    return pc.if_else(pa.array(batch.has_thinking & ~empty), THINK, NO_THINK)
