"""What training costs: floating-point operations as they are done, and the share of what the device could do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from transformers import PretrainedConfig

# Dense bfloat16 operations a second, by a part of the device's name; the makers' data sheets.
PEAKS = {
    "B200": 2.25e15, "H200": 989e12, "H100 PCIe": 756e12, "H100 NVL": 835e12, "H100": 989e12, "A100": 312e12,
    "L40S": 362e12, "L4": 121e12, "A10": 125e12, "4090": 165e12, "3090": 71e12,
}  # fmt: skip


def parameter_counts(model: Any) -> dict[str, int]:
    """Parameters by what they do: `body` and `head` multiply every token; `frozen` of these have no gradient."""
    head = model.get_output_embeddings()
    inputs = model.get_input_embeddings()
    of_head = 0 if head is None else sum(one.numel() for one in head.parameters())
    looked_up = {id(one) for one in inputs.parameters()}
    body = [one for one in model.parameters() if id(one) not in looked_up]
    if head is not None:
        own = {id(one) for one in head.parameters()}
        body = [one for one in body if id(one) not in own]
    return {
        "body": sum(one.numel() for one in body),
        "head": of_head,
        "frozen": sum(one.numel() for one in body if not one.requires_grad),
    }


def training_flops(
    counts: dict[str, int], config: PretrainedConfig, lengths: NDArray[np.int64], learned: NDArray[np.int64]
) -> float:
    """Floating-point operations of forward and backward over examples.

    Two for each parameter and token forward, four backward (Kaplan et al. 2020), two less where a parameter is frozen;
    the head only where a token is learned. Attention adds, for a document of n tokens, 6 n² times the width of all
    heads a layer, half of the full square being masked.

    Args:
        counts: `parameter_counts` of the model.
        config: The model's, for its layers and heads.
        lengths: (n,) tokens of each example.
        learned: (n,) those with a loss.
    """
    tokens, heads = float(lengths.sum()), int(config.num_attention_heads)
    width = heads * int(getattr(config, "head_dim", None) or config.hidden_size // heads)
    kinds = getattr(config, "layer_types", None) or ["full_attention"] * int(config.num_hidden_layers)
    layers = sum("attention" in kind and "linear" not in kind for kind in kinds)
    products = 6 * (counts["body"] * tokens + counts["head"] * float(learned.sum())) - 2 * counts["frozen"] * tokens
    return products + 6.0 * width * layers * float(np.square(lengths, dtype=np.float64).sum())


def peak_flops(device: str) -> float | None:
    """Operations a second that a device reaches at most, by its name; None where that is not known."""
    return next((peak for name, peak in PEAKS.items() if name in device), None)
