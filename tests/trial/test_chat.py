"""The loss falls on what the assistant says, and on nothing else."""

import pytest
from transformers import AutoTokenizer

from composer.errors import TrialError
from composer.resources import base_model
from composer.trial.chat import IGNORED, tokenise

TURNS = [
    {"role": "user", "content": "대한민국의 통화는 무엇인가?"},
    {"role": "assistant", "content": "<think>생각</think>대한민국 원"},
    {"role": "user", "content": "안녕."},
    {"role": "assistant", "content": "안녕."},
]


@pytest.fixture
def tokenizer():
    return AutoTokenizer.from_pretrained(base_model())


def test_only_the_assistants_turns_are_learned(tokenizer):
    [example] = tokenise(tokenizer, [TURNS], ["row"], 512)
    learned = tokenizer.decode([token for token in example.labels if token != IGNORED])
    assert learned == "<think>생각</think>대한민국 원<|end|>안녕.<|end|>"
    assert [i for i, label in zip(example.ids, example.labels, strict=True) if label not in (IGNORED, i)] == []


def test_a_template_that_marks_no_assistant_is_an_error(tokenizer):
    tokenizer.chat_template = tokenizer.chat_template.replace("{% generation %}", "").replace("{% endgeneration %}", "")
    with pytest.raises(TrialError, match="generation"):
        tokenise(tokenizer, [TURNS], ["row"], 512)


def test_a_row_without_an_assistant_and_one_too_long_are_errors(tokenizer):
    with pytest.raises(TrialError, match="row lost"):
        tokenise(tokenizer, [TURNS[:1]], ["lost"], 512)
    with pytest.raises(TrialError, match=r"row long is \d+ tokens long and trainer.max_length is 5"):
        tokenise(tokenizer, [TURNS], ["long"], 5)


def test_a_tokeniser_without_a_template_is_an_error(tokenizer):
    tokenizer.chat_template = None
    with pytest.raises(TrialError, match="no chat template"):
        tokenise(tokenizer, [TURNS], ["row"], 512)
