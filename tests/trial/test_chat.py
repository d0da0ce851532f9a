"""The loss falls on what the assistant says, and on nothing else; thinking is told from the answer."""

import pytest
from transformers import AutoTokenizer

from composer.errors import TrialError
from composer.resources import base_model
from composer.trial.chat import ANSWER, READ, THINKING, tokenise

TURNS = [
    {"role": "user", "content": "대한민국의 통화는 무엇인가?"},
    {"role": "assistant", "content": "<think>생각</think>대한민국 원 뷁"},
    {"role": "user", "content": "안녕."},
    {"role": "assistant", "content": "안녕. 뷁"},
]


@pytest.fixture
def tokenizer():
    return AutoTokenizer.from_pretrained(base_model())


def test_only_the_assistants_turns_are_learned_and_thinking_is_told_apart(tokenizer):
    [example] = tokenise(tokenizer, [TURNS], ["row"])
    said = {kind: tokenizer.decode(example.ids[example.kinds == kind]) for kind in (READ, ANSWER, THINKING)}
    # 뷁 is no token of its own: all of its bytes count.
    assert said[ANSWER] == "대한민국 원 뷁<|end|>안녕. 뷁<|end|>"
    assert said[THINKING] == "<think>생각</think>"
    assert said[READ] == "<|user|>대한민국의 통화는 무엇인가?<|end|><|assistant|><|user|>안녕.<|end|><|assistant|>"


def test_the_tokens_and_those_learned_are_what_transformers_says(tokenizer):
    [example] = tokenise(tokenizer, [TURNS[:1] + [{"role": "assistant", "content": "원"}]], ["row"])
    told = tokenizer.apply_chat_template(
        TURNS[:1] + [{"role": "assistant", "content": "원"}], return_dict=True, return_assistant_tokens_mask=True
    )
    assert example.ids.tolist() == told["input_ids"]
    assert (example.kinds > 0).tolist() == [mask == 1 for mask in told["assistant_masks"]]


def test_a_template_that_marks_no_assistant_is_an_error(tokenizer):
    tokenizer.chat_template = tokenizer.chat_template.replace("{% generation %}", "").replace("{% endgeneration %}", "")
    with pytest.raises(TrialError, match="generation"):
        tokenise(tokenizer, [TURNS], ["row"])


def test_a_row_without_an_assistant_is_an_error(tokenizer):
    with pytest.raises(TrialError, match="row lost"):
        tokenise(tokenizer, [TURNS[:1]], ["lost"])


def test_a_tokeniser_without_a_template_is_an_error(tokenizer):
    tokenizer.chat_template = None
    with pytest.raises(TrialError, match="no chat template"):
        tokenise(tokenizer, [TURNS], ["row"])
