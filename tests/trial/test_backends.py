import importlib.util

import pytest
from transformers import AutoTokenizer

from composer.errors import NeedsError
from composer.recipe import load_recipe
from composer.resources import base_model
from composer.study.plan import check_needs
from composer.trial.backends import check_backend, decode_reply, mark_open, think_marks


@pytest.fixture(scope="module")
def tokenizer():
    return AutoTokenizer.from_pretrained(base_model())


@pytest.fixture(scope="module")
def hiding():
    """A tokeniser whose think marks are special tokens, which plain decoding drops."""
    tokenizer = AutoTokenizer.from_pretrained(base_model())
    tokenizer.add_special_tokens({"additional_special_tokens": ["<think>", "</think>"]})
    return tokenizer


@pytest.mark.parametrize("text", ["<think>1+1은 2.</think>답은 2입니다.", "<think>끝나지 않는", "생각하지 않는다."])
def test_think_marks_outlive_decoding(tokenizer, hiding, text):
    for one in (tokenizer, hiding):
        ids = one(text, add_special_tokens=False)["input_ids"]
        assert decode_reply(one, [*ids, one.eos_token_id]) == text
    ids = hiding("<think>가</think>나", add_special_tokens=False)["input_ids"]
    assert "<think>" not in hiding.decode(ids, skip_special_tokens=True)


def test_the_end_of_thinking_is_a_token_not_its_spelling(tokenizer):
    _, closing = think_marks(tokenizer)
    pieces = [piece for sign in "</think>" for piece in tokenizer(sign, add_special_tokens=False)["input_ids"]]
    assert closing not in pieces
    before, after = (tokenizer(text, add_special_tokens=False)["input_ids"] for text in ("생각", "답"))
    assert decode_reply(tokenizer, [*before, *pieces, *before, closing, *after]) == "<think>생각생각</think>답"
    assert decode_reply(tokenizer, [*before, *pieces, *after]) == "생각답"


def test_thinking_that_the_prompt_opened_is_open():
    assert mark_open("<|assistant|><think>\n", "끝나지 않는") == "<think>끝나지 않는"
    assert mark_open("<|assistant|>[THINK]", "끝나지 않는") == "<think>끝나지 않는"
    assert mark_open("<|assistant|><think>\n\n</think>\n\n", "답") == "답"
    assert mark_open("<|assistant|>", "답") == "답"
    assert mark_open("<think>", "<think>가</think>나") == "<think>가</think>나"


@pytest.mark.skipif(importlib.util.find_spec("vllm") is not None, reason="vllm is installed")
def test_a_missing_vllm_is_said_before_anything_runs():
    with pytest.raises(NeedsError, match=r"eval_backend is vllm.*not installed.*composer-mix\[vllm\]"):
        check_backend("vllm")
    with pytest.raises(NeedsError, match="eval_backend=hf"):
        check_needs(load_recipe("quickstart", ["benchmarks.eval_backend=vllm"]))
