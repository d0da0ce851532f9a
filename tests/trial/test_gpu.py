"""What only a GPU can show: attention over documents without a mask, and memory that really ends."""

import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from composer.config_trainer import TrainerConfig
from composer.trial.attention import VARLEN, choose_attention
from composer.trial.batch import example_weights, make_batch
from composer.trial.ledger import make_ledger
from composer.trial.losses import hidden_states, token_losses
from composer.trial.tokens import Tokens
from composer.trial.train import train

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")
SHAPE = {
    "vocab_size": 1024, "hidden_size": 256, "intermediate_size": 512, "num_hidden_layers": 3, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 512,
}  # fmt: skip


def documents(lengths):
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    ids = np.random.default_rng(0).integers(3, 1024, int(starts[-1])).astype(np.int32)
    return Tokens(ids, np.ones(len(ids), np.uint8), starts, np.arange(len(lengths)))


def model_with(attention, dtype):
    torch.manual_seed(0)
    config = AutoConfig.for_model("llama", **SHAPE)
    return AutoModelForCausalLM.from_config(config, attn_implementation=attention, dtype=dtype).cuda().train()


def test_attention_by_lengths_is_attention_by_mask():
    assert choose_attention("auto", torch.device("cuda"), torch.bfloat16, True) == VARLEN
    tokens, every = documents([50, 300, 7, 120]), np.arange(4)
    weights, losses, slopes = example_weights(tokens, every, "token", 1.0), {}, {}
    batch = make_batch(tokens, [every], [every], weights, 1.0, packed=True, multiple=64).to(torch.device("cuda"))
    for attention, dtype in (("sdpa", torch.float32), ("sdpa", torch.bfloat16), (VARLEN, torch.bfloat16)):
        model = model_with(attention, dtype)
        with hidden_states(model) as hidden:
            loss, each = token_losses(model, model, batch, True, hidden)
        loss.backward()
        losses[attention, dtype] = each
        slopes[attention, dtype] = model.model.embed_tokens.weight.grad.float()
    exact, masked, lengths = losses.values()
    # As near to float32 as the masked form is in the same half precision.
    assert (lengths - exact).abs().max() < 2 * (masked - exact).abs().max() + 1e-3
    exact, masked, lengths = slopes.values()
    assert (lengths - exact).norm() < 1.5 * (masked - exact).norm()


def test_memory_that_ends_halves_the_pass_and_the_result_stays(tmp_path):
    tokens = documents([500] * 64)
    config = TrainerConfig(name="gpu", epochs=1, batch_size=64, max_length=512, packing="best_fit", precision="bf16")
    ledger = make_ledger(tokens, [str(place) for place in range(64)], config, 0, 0)
    results = {}
    for free in (1.0, None):
        torch.cuda.empty_cache()
        if free is None:
            torch.cuda.set_per_process_memory_fraction(0.6 * 2**30 / torch.cuda.get_device_properties(0).total_memory)
        try:
            model = model_with(VARLEN, torch.float32)
            results[free] = train(
                model, None, tokens, ledger, ["all"] * 64, [""] * 64, config, 0, tmp_path / str(free), lambda *_: None
            )
        finally:
            torch.cuda.set_per_process_memory_fraction(1.0)
    assert not results[1.0].halved and results[None].halved
    assert results[None].micro_tokens < results[1.0].micro_tokens
    assert results[None].history[0].loss == pytest.approx(results[1.0].history[0].loss, rel=1e-3)
