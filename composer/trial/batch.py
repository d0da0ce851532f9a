"""Lines as tensors: packed into one long row with its documents kept apart, or padded into a rectangle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from composer.trial.chat import THINKING
from composer.trial.tokens import Tokens


@dataclass(frozen=True, eq=False)
class Batch:
    """What a forward pass reads: `size` positions, of which `n` have a loss.

    Attributes:
        ids: (rows, length) token ids; packed, one row.
        positions: (rows, length) the position of each token in its document.
        real: (rows, length) bool, False for padding and for what keeps documents apart.
        ends: (n_documents + 1,) int32, where the documents of a packed row begin, and where the last ends.
        longest: tokens that no document exceeds.
        at: (n,) positions in the flattened rows at which the next token is learned.
        targets: (n,) those tokens.
        weights: (n,) float32, what each token's loss counts in the step's; over a whole step they sum to 1.
        rows: (n,) the place in the step of the example that each belongs to.
    """

    ids: torch.Tensor
    positions: torch.Tensor
    real: torch.Tensor
    ends: torch.Tensor
    longest: int
    at: torch.Tensor
    targets: torch.Tensor
    weights: torch.Tensor
    rows: torch.Tensor

    def to(self, device: torch.device) -> Batch:
        """The batch on a device."""
        moved = {name: value.to(device) for name, value in vars(self).items() if isinstance(value, torch.Tensor)}
        return Batch(longest=self.longest, **moved)


def example_weights(tokens: Tokens, examples: NDArray[np.int64], loss: str, think_weight: float) -> NDArray[np.float64]:
    """(n,) what a token of the answer of each example counts in the loss of a step.

    Args:
        tokens: The mixture's.
        examples: (n,) the examples of the whole step, over all processes.
        loss: `token`, a mean over the step's tokens, or `row`, a mean over its examples' means.
        think_weight: What a token of thinking counts, where one of the answer counts 1.
    """
    counted = np.array([_counts(tokens, example, think_weight).sum() for example in examples.tolist()])
    if loss == "token":
        return np.full(len(examples), 1 / max(counted.sum(), 1e-12))
    means = np.divide(1, counted * max((counted > 0).sum(), 1), out=np.zeros(len(counted)), where=counted > 0)
    return np.asarray(means, np.float64)


def learned_of(tokens: Tokens, examples: NDArray[np.int64], think_weight: float) -> NDArray[np.int64]:
    """(n,) the tokens of each example that count anything."""
    return np.array([np.count_nonzero(_counts(tokens, one, think_weight)) for one in examples.tolist()], np.int64)


def _counts(tokens: Tokens, example: int, think_weight: float) -> NDArray[np.float64]:
    """(length − 1,) what each token but the first counts within its example."""
    kinds = tokens.kinds[tokens.starts[example] + 1 : tokens.starts[example + 1]]
    return np.asarray(np.where(kinds == THINKING, think_weight, kinds > 0), np.float64)


def make_batch(
    tokens: Tokens,
    lines: Sequence[NDArray[np.int64]],
    rows: Sequence[NDArray[np.int64]],
    weights: NDArray[np.float64],
    think_weight: float,
    packed: bool,
    gap: int = 0,
    multiple: int = 1,
) -> Batch:
    """The batch of some lines of a step.

    Args:
        tokens: The mixture's.
        lines: The examples of each line; one each where they are padded.
        rows: The places in the step of the same examples.
        weights: (n_step,) `example_weights` of the step.
        think_weight: What a token of thinking counts.
        packed: Whether the lines become one row, or a row each.
        gap: Tokens that keep two documents of a packed row apart.
        multiple: A packed row is filled up to a multiple of so many tokens.
    """
    documents = [int(one) for line in lines for one in line]
    of_step = [int(one) for line in rows for one in line]
    lengths = [int(tokens.starts[one + 1] - tokens.starts[one]) for one in documents]
    if packed:
        starts = np.cumsum([0, *(length + gap for length in lengths)])
        width = -(-int(starts[-1] - gap) // multiple) * multiple
        shape = (1, width)
    else:
        width = max(lengths)
        starts = np.arange(len(documents) + 1) * width
        shape = (len(documents), width)
    ids, real = np.zeros(shape, np.int64).reshape(-1), np.zeros(shape, bool).reshape(-1)
    positions = np.zeros(shape, np.int64).reshape(-1)
    at, counts, owners = [], [], []
    for document, row, start, length in zip(documents, of_step, starts.tolist(), lengths, strict=False):
        ids[start : start + length] = tokens.ids[tokens.starts[document] : tokens.starts[document + 1]]
        real[start : start + length] = True
        positions[start : start + length] = np.arange(length)
        counted = _counts(tokens, document, think_weight)
        learned = np.flatnonzero(counted)
        at.append(start + learned)
        counts.append(counted[learned] * weights[row])
        owners.append(np.full(len(learned), row))
    places = np.concatenate(at)
    return Batch(
        ids=torch.from_numpy(ids.reshape(shape)),
        positions=torch.from_numpy(positions.reshape(shape)),
        real=torch.from_numpy(real.reshape(shape)),
        ends=torch.from_numpy(_ends(starts, lengths, width).astype(np.int32) if packed else np.zeros(1, np.int32)),
        longest=_round_up(max([*lengths, gap, multiple])),
        at=torch.from_numpy(places),
        targets=torch.from_numpy(ids[places + 1]),
        weights=torch.from_numpy(np.concatenate(counts).astype(np.float32)),
        rows=torch.from_numpy(np.concatenate(owners)),
    )


def _round_up(longest: int) -> int:
    """The power of two that holds a document: kernels are chosen, and compiled, by few lengths."""
    return 1 << (longest - 1).bit_length()


def _ends(starts: NDArray[np.int64], lengths: list[int], width: int) -> NDArray[np.int64]:
    """Where documents begin, what keeps them apart and what fills up being documents of their own."""
    ends = np.unique([*starts[:-1], *(starts[:-1] + lengths), width])
    return ends[ends <= width]
