"""Rows as token ids, with a loss on what the assistant says and on nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from composer.errors import TrialError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

IGNORED = -100  # the label that cross entropy leaves out


@dataclass(frozen=True, slots=True)
class Example:
    """One row for training: token `ids`, and `labels` of equal length in which all but the assistant's are ignored."""

    ids: list[int]
    labels: list[int]


def tokenise(
    tokenizer: PreTrainedTokenizerBase,
    conversations: Sequence[list[dict[str, str]]],
    row_ids: Sequence[str],
    max_length: int,
) -> list[Example]:
    """Renders each conversation with the tokeniser's chat template and masks all but the assistant's tokens.

    Raises:
        TrialError: The tokeniser has no chat template, the template marks no assistant tokens (it lacks
            `{% generation %}`), or a row is longer than `max_length` tokens.
    """
    if not tokenizer.chat_template:
        raise TrialError(
            "the model's tokeniser has no chat template: choose an instruct model, or give the tokeniser one"
        )
    encoded = tokenizer.apply_chat_template(
        list(conversations), tokenize=True, return_dict=True, return_assistant_tokens_mask=True
    )
    examples = []
    for row_id, ids, mask in zip(row_ids, encoded["input_ids"], encoded["assistant_masks"], strict=True):
        if not any(mask):
            raise TrialError(
                f"row {row_id} has no token to learn from: the chat template marks no assistant tokens; "
                "it needs {% generation %} … {% endgeneration %} around the assistant's turn"
            )
        if len(ids) > max_length:
            raise TrialError(
                f"row {row_id} is {len(ids)} tokens long and trainer.max_length is {max_length}: "
                "raise it, or keep such rows out of the pool"
            )
        examples.append(Example(list(ids), [i if m else IGNORED for i, m in zip(ids, mask, strict=True)]))
    return examples
