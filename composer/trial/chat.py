"""Rows as token ids by the model's chat template, with what kind of token each is to the loss."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from composer.answers.replies import CLOSE, OPEN
from composer.errors import TrialError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

READ, ANSWER, THINKING = 0, 1, 2  # kinds of tokens: read without a loss, the assistant's answer, its thinking
_THOUGHT = re.compile(f"{re.escape(OPEN)}.*?(?:{re.escape(CLOSE)}|$)", re.DOTALL)


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """One row for training: (n_tokens,) int32 token `ids`, and the `kinds` of these tokens, uint8."""

    ids: NDArray[np.int32]
    kinds: NDArray[np.uint8]

    def __len__(self) -> int:
        """The tokens."""
        return len(self.ids)


def check_template(tokenizer: PreTrainedTokenizerBase) -> None:
    """Checks that a tokeniser can render conversations, and knows where a text's characters went.

    Raises:
        TrialError: It has no chat template, or is not one of the fast ones.
    """
    if not tokenizer.chat_template:
        raise TrialError(
            "the model's tokeniser has no chat template: choose an instruct model, or give the tokeniser one"
        )
    if not tokenizer.is_fast:
        raise TrialError(
            f"the model's tokeniser, {type(tokenizer).__name__}, does not tell which characters a token stands for: "
            "choose a model with a fast tokeniser (a tokenizer.json)"
        )


def tokenise(
    tokenizer: PreTrainedTokenizerBase, conversations: Sequence[list[dict[str, str]]], row_ids: Sequence[str]
) -> list[Example]:
    """Renders each conversation with the tokeniser's chat template; only the assistant's tokens are to be learned.

    Raises:
        TrialError: The tokeniser has no chat template, or the template marks no assistant tokens (it lacks
            `{% generation %}`).
    """
    from transformers.utils.chat_template_utils import render_jinja_template

    check_template(tokenizer)
    texts, spoken = render_jinja_template(
        conversations=list(conversations),
        chat_template=tokenizer.get_chat_template(),
        return_assistant_tokens_mask=True,
        **tokenizer.special_tokens_map,
    )
    # Of the library beneath, which uses all cores it may, and gives what is asked of an encoding and no more.
    encoded = tokenizer.backend_tokenizer.encode_batch(list(texts), add_special_tokens=False)
    examples = []
    for row_id, text, spans, found in zip(row_ids, texts, spoken, encoded, strict=True):
        example = Example(np.array(found.ids, np.int32), np.zeros(len(found.ids), np.uint8))
        for start, end in spans:
            _mark(example, found, text, start, end, ANSWER)
            for thought in _THOUGHT.finditer(text, start, end):
                _mark(example, found, text, thought.start(), thought.end(), THINKING)
        if not example.kinds.any():
            raise TrialError(
                f"row {row_id} has no token to learn from: the chat template marks no assistant tokens; "
                "it needs {% generation %} … {% endgeneration %} around the assistant's turn"
            )
        examples.append(example)
    return examples


def _mark(example: Example, encoding: Any, text: str, start: int, end: int, kind: int) -> None:
    """Marks the tokens of the characters from `start` to `end`, those of bytes of a character among them."""
    if start < end:
        example.kinds[_token_at(encoding, text, start) : _token_at(encoding, text, end)] = kind


def _token_at(encoding: Any, text: str, character: int) -> int:
    """The first token that stands for a character, or for one after it; some, such as spaces, may have none."""
    while character < len(text):
        token = encoding.char_to_token(character)
        if token is not None:
            return int(token)
        character += 1
    return len(encoding.ids)
