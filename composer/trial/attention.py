"""How documents of one packed row are kept from seeing each other, and which models can be packed at all."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch

from composer.trial.batch import Batch

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel

VARLEN = "composer_varlen"  # torch's own flash attention over documents of unequal length
_ATTENTION = {"full_attention", "sliding_attention"}
_LENGTHS = (VARLEN, "flash_attention_2", "flash_attention_3")  # told apart by lengths, without a mask


def document_gap(config: PretrainedConfig) -> int | None:
    """The tokens that must stand between two documents of a packed row; None where a model cannot read such rows.

    Attention tells documents apart by its mask. A short convolution (LFM2) reaches back over a few tokens, which must
    then be empty ones. Layers with a running state (Mamba, linear attention) carry it from one document to the next.
    """
    kinds = set(getattr(config, "layer_types", None) or ["full_attention"])
    if kinds <= _ATTENTION and not any(hasattr(config, name) for name in ("ssm_cfg", "state_size", "mamba_d_state")):
        return 0
    if kinds <= {*_ATTENTION, "conv"} and hasattr(config, "conv_L_cache"):
        return int(config.conv_L_cache) - 1
    return None


def choose_attention(attention: str, device: torch.device, dtype: torch.dtype, packed: bool) -> str:
    """The implementation that `auto` stands for: on a GPU, in half precision, the one that needs no mask."""
    if attention != "auto":
        return VARLEN if attention == "varlen" else attention
    if packed and device.type == "cuda" and dtype in (torch.bfloat16, torch.float16) and _register():
        return VARLEN
    return "sdpa"


@contextmanager
def documents_apart(model: PreTrainedModel) -> Iterator[None]:
    """Empties what a short convolution reads between documents: its projection has a bias, which masking leaves.

    That is while the model trains; benchmarks ask it as it is.
    """
    held: list[Any] = []
    for layer in model.modules():
        if hasattr(layer, "in_proj") and hasattr(layer, "conv_kernel_size") and layer.in_proj.bias is not None:
            masks: list[Any] = [None]

            def keep(_: Any, __: Any, told: dict[str, Any], masks: list[Any] = masks) -> None:
                masks[0] = told.get("attention_mask")

            def empty(of: Any, _: Any, found: torch.Tensor, masks: list[Any] = masks) -> torch.Tensor:
                return found if masks[0] is None or not of.training else found * masks[0][..., None].to(found.dtype)

            held += [
                layer.register_forward_pre_hook(keep, with_kwargs=True),
                layer.in_proj.register_forward_hook(empty),
            ]
    try:
        yield
    finally:
        for hook in held:
            hook.remove()


def is_masked(model: PreTrainedModel) -> bool:
    """Whether the model tells documents apart by a mask, which grows with the square of the row."""
    return model.config._attn_implementation not in _LENGTHS


def model_inputs(model: PreTrainedModel, batch: Batch, packed: bool) -> dict[str, Any]:
    """What `model` is called with to read a batch, its documents kept apart."""
    told: dict[str, Any] = {"input_ids": batch.ids, "position_ids": batch.positions, "use_cache": False}
    if not packed:
        return {**told, "attention_mask": batch.real}
    config = model.config
    if not is_masked(model):
        ends = {"cu_seq_lens_q": batch.ends, "cu_seq_lens_k": batch.ends}
        told |= {**ends, "max_length_q": batch.longest, "max_length_k": batch.longest}
    # Without a 2D mask transformers tells documents by where positions begin anew. Convolutions want one beside.
    if "conv" in (getattr(config, "layer_types", None) or ()):
        told["attention_mask"] = {"full_attention": _mask(model, batch), "conv": batch.real}
    return told


def _mask(model: PreTrainedModel, batch: Batch) -> Any:
    from transformers.masking_utils import create_causal_mask

    shape = torch.empty((*batch.ids.shape, 1), dtype=model.dtype, device=batch.ids.device)
    return create_causal_mask(
        config=model.config,
        inputs_embeds=shape,
        attention_mask=None,
        past_key_values=None,
        position_ids=batch.positions,
    )


def _register() -> bool:
    """Makes torch's variable-length attention known to transformers; False where this torch has none."""
    from transformers import AttentionInterface

    try:
        from torch.nn.attention.varlen import varlen_attn
    except ImportError:
        return False
    groups = "enable_gqa" in inspect.signature(varlen_attn).parameters
    more: dict[str, Any] = {"enable_gqa": True} if groups else {}

    def attend(
        module: torch.nn.Module, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: Any,
        scaling: float | None = None, sliding_window: int | None = None, **told: Any,
    ) -> tuple[torch.Tensor, None]:  # fmt: skip
        # (1, heads, tokens, size) → (tokens, heads, size); turned by positions, queries may have left half precision
        half = value.dtype if value.dtype != torch.float32 else torch.get_autocast_dtype("cuda")
        query, key, value = (part.squeeze(0).transpose(0, 1).to(half) for part in (query, key, value))
        if not groups and key.shape[1] != query.shape[1]:
            times = query.shape[1] // key.shape[1]
            key, value = (part.repeat_interleave(times, dim=1) for part in (key, value))
        window = (-1 if sliding_window is None else sliding_window - 1, 0)
        out: Any = varlen_attn(
            query, key, value, told["cu_seq_lens_q"], told["cu_seq_lens_k"], told["max_length_q"], told["max_length_k"],
            scale=scaling, window_size=window, **more,
        )  # fmt: skip
        return out.unsqueeze(0), None

    AttentionInterface.register(VARLEN, attend)
    return True
