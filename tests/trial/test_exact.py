"""Packing is right: documents of a packed line give the losses and gradients that each gives alone."""

import numpy as np
import pytest
import torch
import transformers
from transformers import AutoConfig, AutoModelForCausalLM

from composer.resources import base_model
from composer.trial.attention import document_gap, documents_apart
from composer.trial.batch import example_weights, make_batch
from composer.trial.losses import hidden_states, token_losses
from composer.trial.tokens import Tokens

LENGTHS = [9, 30, 17, 4, 25]
SMALL = {
    "vocab_size": 300, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 3, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 256,
}  # fmt: skip
MODELS = {
    "llama": {},
    "qwen3": {"head_dim": 16},
    "mistral": {"sliding_window": 8},
    "gemma3_text": {"head_dim": 16, "sliding_window": 8},
    "gemma2": {"head_dim": 16, "sliding_window": 8},  # caps its logits: the head is its own
}


@pytest.fixture(autouse=True)
def quiet():
    transformers.utils.logging.set_verbosity_error()


def model_of(name):
    torch.manual_seed(0)
    if name == "mini":  # a short convolution, with a bias
        return AutoModelForCausalLM.from_pretrained(base_model(), dtype=torch.float32).train()
    return AutoModelForCausalLM.from_config(AutoConfig.for_model(name, **SMALL, **MODELS[name])).train()


def documents():
    rng = np.random.default_rng(0)
    size = sum(LENGTHS)
    starts = np.concatenate([[0], np.cumsum(LENGTHS)]).astype(np.int64)
    kinds = rng.integers(0, 3, size).astype(np.uint8)
    return Tokens(rng.integers(3, 300, size).astype(np.int32), kinds, starts, np.arange(len(LENGTHS)))


def gradients(model):
    return {name: one.grad.clone() for name, one in model.named_parameters() if one.grad is not None}


def alone(model, tokens, weights, hidden):
    """The loss, the losses of tokens and the gradients of documents that go through the model one by one."""
    model.zero_grad()
    total, each = 0.0, []
    for place in range(len(tokens)):
        line = [np.array([place])]
        batch = make_batch(tokens, line, line, weights, 0.5, packed=False)
        loss, losses = token_losses(model, model, batch, False, hidden)
        loss.backward()
        total += float(loss.detach())
        each.append(losses)
    return total, torch.cat(each), gradients(model)


@pytest.mark.parametrize("loss", ["token", "row"])
@pytest.mark.parametrize("name", ["mini", *MODELS])
def test_packed_documents_are_as_they_are_alone(name, loss):
    model, tokens = model_of(name), documents()
    gap = document_gap(model.config)
    assert gap == (2 if name == "mini" else 0)
    every = np.arange(len(tokens))
    weights = example_weights(tokens, every, loss, 0.5)
    with hidden_states(model) as hidden, documents_apart(model):
        assert hidden == (name != "gemma2")
        total, each, slopes = alone(model, tokens, weights, hidden)
        model.zero_grad()
        batch = make_batch(tokens, [every], [every], weights, 0.5, packed=True, gap=gap, multiple=16)
        assert batch.ids.shape[0] == 1 and batch.ids.shape[1] % 16 == 0
        packed, losses = token_losses(model, model, batch, True, hidden)
        packed.backward()
    assert abs(float(packed.detach()) - total) < 1e-5
    assert (losses - each).abs().max() < 1e-5
    for parameter, slope in gradients(model).items():
        assert (slope - slopes[parameter]).abs().max() < 1e-5, parameter


def test_the_loss_is_transformers_own_where_every_answer_counts_alike():
    model, tokens = model_of("llama"), documents()
    every = [np.array([place]) for place in range(len(tokens))]
    weights = example_weights(tokens, np.arange(len(tokens)), "token", 1.0)
    batch = make_batch(tokens, every, every, weights, 1.0, packed=False)
    with hidden_states(model) as hidden:
        ours, _ = token_losses(model, model, batch, False, hidden)
    labels = torch.full(batch.ids.shape, -100)
    for place, (start, end) in enumerate(zip(tokens.starts[:-1], tokens.starts[1:], strict=True)):
        kinds = torch.from_numpy(tokens.kinds[start:end] > 0)
        labels[place, : end - start][kinds] = torch.from_numpy(tokens.ids[start:end].astype(np.int64))[kinds]
    theirs = model(input_ids=batch.ids, attention_mask=batch.real, labels=labels).loss
    assert abs(float((ours - theirs).detach())) < 1e-5


def test_weights_of_a_step_sum_to_one_and_thinking_may_count_less():
    tokens, every = documents(), np.arange(len(LENGTHS))
    lines = [np.array([place]) for place in every]
    for loss in ("token", "row"):
        batch = make_batch(tokens, lines, lines, example_weights(tokens, every, loss, 0.25), 0.25, packed=False)
        assert float(batch.weights.sum()) == pytest.approx(1, abs=1e-6)
        ratio = batch.weights[batch.rows == 1].unique()
        assert len(ratio) == 2 and float(ratio.min() / ratio.max()) == pytest.approx(0.25, abs=1e-6)


def test_models_with_a_running_state_are_not_packed():
    assert document_gap(AutoConfig.for_model("mamba")) is None
    assert document_gap(AutoConfig.for_model("qwen3_next")) is None
    assert document_gap(AutoConfig.for_model("llama")) == 0
