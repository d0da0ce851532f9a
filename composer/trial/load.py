"""The model and tokeniser of a trial, as its training and then its evaluation want them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from omegaconf import OmegaConf

from composer.config_trainer import TrainerConfig
from composer.errors import TrialError
from composer.trial.arguments import base_of, prepared
from composer.trial.attention import choose_attention, document_gap
from composer.trial.extras import check_extras
from composer.trial.spec import model_path

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


@dataclass(frozen=True)
class Loaded:
    """What a trial trains.

    Attributes:
        model: On its device, with adapters where they are asked for.
        tokenizer: The model's.
        config: How it trains.
        gap: Tokens between two documents of a packed line; None: its lines are not packed.
    """

    model: Any
    tokenizer: PreTrainedTokenizerBase
    config: TrainerConfig
    gap: int | None


def load(spec: dict[str, Any]) -> Loaded:
    """Loads what `spec.json` says.

    Raises:
        NeedsError: A setting wants a package that is not installed.
        TrialError: Rows may be longer than the model reads.
    """
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    config = trainer_config(spec["trainer"])
    check_extras(config)
    told = {"pretrained_model_name_or_path": model_path(spec["model"]), "revision": spec["model"]["revision"]}
    dtype = getattr(torch, spec["model"]["dtype"])
    known = AutoConfig.from_pretrained(**told)
    longest = getattr(known, "max_position_embeddings", None)
    if longest is not None and config.max_length > longest:
        raise TrialError(
            f"trainer.max_length is {config.max_length} and the model reads {longest} tokens at most: lower it, and "
            "say by trainer.long_rows what becomes of longer rows"
        )
    gap = document_gap(known) if config.packing != "off" else None
    device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")) if torch.cuda.is_available() else 0)
    device = device if torch.cuda.is_available() else torch.device("cpu")
    work = torch.bfloat16 if config.precision == "bf16" else dtype
    model = AutoModelForCausalLM.from_pretrained(
        **told, dtype=dtype, attn_implementation=choose_attention(config.attention, device, work, gap is not None)
    )
    return Loaded(prepared(model.to(device), config), AutoTokenizer.from_pretrained(**told), config, gap)


def trainer_config(told: dict[str, Any]) -> TrainerConfig:
    """A recipe's trainer section from JSON."""
    return OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(TrainerConfig), told))  # type: ignore[return-value]


@contextmanager
def evaluable(model: Any) -> Iterator[PreTrainedModel]:
    """Gives the model as benchmarks ask it: adapters merged, attention that generates, layers as they were written."""
    inner = base_of(model)
    before = inner.config._attn_implementation
    if model is not inner:
        model.merge_adapter()
    compiled = {module: module._compiled_call_impl for module in inner.modules() if module._compiled_call_impl}
    for module in compiled:
        module._compiled_call_impl = None
    inner.set_attn_implementation("eager" if before == "eager" else "sdpa")
    try:
        yield inner
    finally:
        inner.set_attn_implementation(before)
        for module, call in compiled.items():
            module._compiled_call_impl = call
        if model is not inner:
            model.unmerge_adapter()
