"""Losses of single tokens, from which those of rows, categories and the step are summed without a second pass."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch.nn.functional import cross_entropy

from composer.trial.attention import model_inputs
from composer.trial.batch import Batch

if TYPE_CHECKING:
    from transformers import PreTrainedModel

CHUNK = 1 << 27  # logits held at a time; 512 MiB of them in float32
# Settings of models whose logits are more than a product of the last states with the head.
_FURTHER = ("final_logit_softcapping", "logit_scale", "logits_scaling", "lm_head_multiplier", "output_multiplier")


@contextmanager
def hidden_states(model: PreTrainedModel) -> Iterator[bool]:
    """Lets `model`, while it trains, give its last hidden states in place of logits.

    Gives False, and changes nothing, where they would not be all it takes.
    """
    head = model.get_output_embeddings()
    plain = type(head) is torch.nn.Linear and head.bias is None
    if not plain or any(getattr(model.config, name, None) not in (None, 1, 1.0) for name in _FURTHER):
        yield False
        return
    head.forward = lambda states: states if head.training else type(head).forward(head, states)
    try:
        yield True
    finally:
        del head.forward


def token_losses(
    model: Any, inner: PreTrainedModel, batch: Batch, packed: bool, hidden: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """The loss of a batch, and that of each of its learned tokens.

    Args:
        model: What is called: `inner`, or a wrapper of it that spreads it over processes.
        inner: The model.
        batch: What it reads.
        packed: Whether the batch is one row with many documents.
        hidden: Whether the model gives hidden states (`hidden_states`).

    Returns:
        The weighted sum, a scalar with gradients, and (n,) float32 losses in nats, without.
    """
    found = model(**model_inputs(inner, batch, packed)).logits.flatten(0, 1)[batch.at]
    if hidden:
        head = inner.get_output_embeddings().weight
        return _LinearCrossEntropy.apply(found, head, batch.targets, batch.weights)  # type: ignore[no-any-return, no-untyped-call]
    losses = cross_entropy(found.float(), batch.targets, reduction="none")
    return (losses * batch.weights).sum(), losses.detach()


class _LinearCrossEntropy(torch.autograd.Function):
    """Head and cross entropy in one, chunk by chunk: no more than a chunk of logits is ever held.

    What a token counts is known beforehand, so that gradients are made on the way forward; no chunk is made twice. The
    idea is that of Liger Kernel's fused linear cross entropy (Hsu et al. 2024).
    """

    @staticmethod
    def forward(
        ctx: Any, states: torch.Tensor, head: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor
    ) -> Any:
        """(n, size) states, (vocabulary, size) head, (n,) targets, (n,) weights → weighted sum, (n,) losses."""
        states = states.to(head.dtype) if not torch.is_autocast_enabled() else states
        work = torch.get_autocast_dtype(states.device.type) if torch.is_autocast_enabled() else head.dtype
        inner, outer = states.to(work), head.detach().to(work)
        losses = torch.empty(len(states), dtype=torch.float32, device=states.device)
        to_states = torch.empty_like(inner)
        to_head = torch.zeros_like(outer, dtype=torch.float32) if head.requires_grad else None
        rows = max(1, CHUNK // len(head))
        for part in (slice(at, at + rows) for at in range(0, len(states), rows)):
            logits = (inner[part] @ outer.T).float()
            aim, scale = targets[part, None], weights[part, None]
            total = torch.logsumexp(logits, 1, keepdim=True)
            losses[part] = (total - logits.gather(1, aim)).squeeze(1)
            slope = logits.sub_(total).exp_().mul_(scale)
            slope.scatter_add_(1, aim, -scale)
            slope = slope.to(work)
            to_states[part] = slope @ outer
            if to_head is not None:
                to_head += slope.T @ inner[part]
        ctx.save_for_backward(to_states.to(states.dtype), None if to_head is None else to_head.to(head.dtype))
        ctx.mark_non_differentiable(losses)
        return (losses * weights).sum(), losses

    @staticmethod
    def backward(ctx: Any, *above: Any) -> Any:
        """The gradients made on the way, by that of the sum."""
        to_states, to_head = ctx.saved_tensors
        return to_states * above[0], None if to_head is None else to_head * above[0], None, None
