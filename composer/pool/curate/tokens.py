"""Counts the tokens of messages as the model will read them, chat template and all."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from composer.errors import ConfigError, NeedsError
from composer.resources import base_model


def count_tokens(tokenizer: str, messages: pa.ListArray) -> NDArray[np.int64]:
    """(n,) tokens of each row's messages.

    Args:
        tokenizer: `mini`, a folder, or a hub id.
        messages: (n,) turns of role and content.
    """
    if not len(messages):
        return np.zeros(0, np.int64)
    loaded = _loaded(tokenizer)
    texts = loaded.apply_chat_template(messages.to_pylist(), tokenize=False)
    if loaded.is_fast:
        found = loaded.backend_tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        return np.array([len(one) for one in found], np.int64)
    return np.array([len(ids) for ids in loaded(texts, add_special_tokens=False)["input_ids"]], np.int64)


@cache
def _loaded(tokenizer: str) -> Any:
    from transformers import AutoTokenizer

    try:
        loaded = AutoTokenizer.from_pretrained(base_model() if tokenizer == "mini" else tokenizer)
    except (OSError, ValueError) as error:
        told = str(error).splitlines()[0].rstrip(".")
        raise NeedsError(
            f"pool.tokenizer is {tokenizer}, which cannot be loaded: {told}; name mini, a folder, or one of the hub, "
            "which takes the network"
        ) from error
    if loaded.chat_template is None:
        raise ConfigError([f"pool.tokenizer is {tokenizer}, which has no chat template: name one of a chat model"])
    return loaded
