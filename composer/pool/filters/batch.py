"""A batch of rows as filters see them: columns of text, derived from the messages once, when a filter asks."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from composer.errors import PoolError

OPEN, CLOSE = "<think>", "</think>"

Counts = NDArray[np.int64]
Mask = NDArray[np.bool_]


class Batch:
    """Rows, (n,), whose column `messages` holds turns of `role` and `content`."""

    def __init__(self, table: pa.Table, count: Callable[[pa.ListArray], Counts] | None = None) -> None:
        """Of a table of at most some thousand rows; `count` gives the tokens of messages, should a filter ask."""
        self.table = table
        self.count = count
        messages = table["messages"].combine_chunks()
        turns = messages.flatten()
        self.contents: pa.StringArray = pc.fill_null(turns.field("content"), "")
        self.roles: pa.StringArray = turns.field("role")
        #: The row of each turn.
        self.row_of: Counts = np.repeat(
            np.arange(len(table)), np.asarray(pc.fill_null(pc.list_value_length(messages), 0))
        )

    def __len__(self) -> int:
        """The number of rows."""
        return len(self.table)

    @cached_property
    def n_tokens(self) -> Counts:
        """(n,) tokens, as the pool's tokeniser counts them.

        Raises:
            PoolError: None was given.
        """
        if self.count is None:
            raise PoolError("filter tokens: the pool has no tokeniser; set pool.tokenizer, or leave the filter out")
        return self.count(self.table["messages"].combine_chunks())

    @cached_property
    def assistant(self) -> Mask:
        """Whether each turn is the assistant's."""
        found: Mask = np.asarray(pc.fill_null(pc.equal(self.roles, "assistant"), False))
        return found

    @cached_property
    def prompt(self) -> pa.StringArray:
        """(n,) the last turn of the user; empty where there is none."""
        return self.contents_at(self.prompt_place)

    @cached_property
    def prompt_place(self) -> Counts:
        """(n,) which turn `prompt` is; -1 where there is none."""
        return self._last(np.asarray(pc.fill_null(pc.equal(self.roles, "user"), False)))

    @cached_property
    def response(self) -> pa.StringArray:
        """(n,) the last turn of the assistant, with its thinking; empty where there is none."""
        return self.contents_at(self.response_place)

    @cached_property
    def response_place(self) -> Counts:
        """(n,) which turn `response` is; -1 where there is none."""
        return self._last(self.assistant)

    @cached_property
    def thinking(self) -> pa.StringArray:
        """(n,) what stands in the response between <think> and </think>; empty where there is no pair."""
        head, _ = self._parted
        inside = pc.list_slice(pc.split_pattern(head, OPEN, max_splits=1), 1, 2)
        return pc.if_else(pa.array(self.has_thinking), pc.binary_join(inside, ""), "")

    @cached_property
    def answer(self) -> pa.StringArray:
        """(n,) what stands in the response after </think>; all of it where there is no pair."""
        _, tail = self._parted
        return pc.if_else(pa.array(self.has_thinking), tail, self.response)

    @cached_property
    def has_thinking(self) -> Mask:
        """(n,) whether <think> and a </think> after it stand in the response."""
        opened, closed = (np.asarray(pc.find_substring(self.response, mark)) for mark in (OPEN, CLOSE))
        found: Mask = (opened >= 0) & (closed > opened)
        return found

    @cached_property
    def _parted(self) -> tuple[pa.StringArray, pa.StringArray]:
        """(n,) the response up to the first </think>, and what follows."""
        parts = pc.split_pattern(self.response, CLOSE, max_splits=1)
        return pc.list_element(parts, 0), pc.binary_join(pc.list_slice(parts, 1, 2), "")

    def by_row(self, counts: NDArray[np.int64] | Mask) -> Counts:
        """(n,) sums over each row's turns."""
        return np.bincount(self.row_of, weights=counts, minlength=len(self)).astype(np.int64)

    def contents_at(self, places: Counts) -> pa.StringArray:
        """(n,) the contents of turns; empty for those at -1."""
        return pc.fill_null(self.contents.take(pa.array(places, mask=places < 0)), "")

    def _last(self, some: Mask) -> Counts:
        """(n,) the last turn of each row among some; -1 where there is none."""
        places = np.flatnonzero(some)
        found = np.full(len(self), -1)
        found[self.row_of[places]] = places  # of several the last is kept
        return found
