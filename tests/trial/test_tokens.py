"""A mixture's tokens: made once, long rows dealt with as declared and counted."""

import numpy as np
import pyarrow as pa
import pytest
from transformers import AutoTokenizer

from composer.errors import TrialError
from composer.resources import base_model
from composer.trial.tokens import tokens_of


def table(*answers):
    rows = [[{"role": "user", "content": "질문?"}, {"role": "assistant", "content": answer}] for answer in answers]
    return pa.table({"id": [f"row{place}" for place in range(len(rows))], "messages": rows})


@pytest.fixture(scope="module")
def tokenizer():
    return AutoTokenizer.from_pretrained(base_model())


LONG = table("예.", "가 " * 200, "아니오.")


def test_rows_stand_one_after_the_other(tokenizer):
    tokens = tokens_of(LONG, tokenizer, 10_000, "error")
    assert len(tokens) == 3 and tokens.places.tolist() == [0, 1, 2]
    assert tokens.lengths.sum() == len(tokens.ids) == len(tokens.kinds)
    first = tokens.ids[: tokens.starts[1]]
    assert tokenizer.decode(first) == "<|user|>질문?<|end|><|assistant|>예.<|end|>"
    assert tokens.learned[0] == len(tokenizer("예.<|end|>")["input_ids"])


def test_a_row_too_long_is_an_error_that_names_the_other_ways(tokenizer):
    with pytest.raises(TrialError, match=r"row row1 is \d+ tokens long and trainer.max_length is 50: .* split"):
        tokens_of(LONG, tokenizer, 50, "error")


@pytest.mark.parametrize("way,examples,left_out", [("reject", 2, 1), ("truncate", 3, 0)])
def test_long_rows_are_left_out_or_cut_and_counted(tokenizer, way, examples, left_out):
    tokens = tokens_of(LONG, tokenizer, 50, way)
    assert (len(tokens), tokens.too_long, tokens.left_out) == (examples, 1, left_out)
    assert tokens.lengths.max() <= 50


def test_split_rows_lose_no_token(tokenizer):
    whole, split = tokens_of(LONG, tokenizer, 10_000, "error"), tokens_of(LONG, tokenizer, 50, "split")
    assert np.array_equal(whole.ids, split.ids) and np.array_equal(whole.kinds, split.kinds)
    assert split.places.tolist() == [0] + [1] * (len(split) - 2) + [2]
    assert (split.too_long, split.left_out) == (1, 0)


def test_what_was_cut_before_its_answer_is_left_out(tokenizer):
    asked = pa.table({"id": ["a", "b"], "messages": [
        [{"role": "user", "content": "가 " * 100}, {"role": "assistant", "content": "예."}],
        [{"role": "user", "content": "가"}, {"role": "assistant", "content": "예."}],
    ]})  # fmt: skip
    tokens = tokens_of(asked, tokenizer, 40, "truncate")
    assert tokens.places.tolist() == [1] and tokens.left_out == 1
    with pytest.raises(TrialError, match="all 1 rows"):
        tokens_of(asked.slice(0, 1), tokenizer, 40, "truncate")


def test_tokens_are_kept_by_what_they_are_made_of(tokenizer, tmp_path):
    first = tokens_of(LONG, tokenizer, 50, "split", tmp_path)
    [folder] = tmp_path.iterdir()
    stamp = (folder / "ids.npy").stat().st_mtime_ns
    again = tokens_of(LONG, tokenizer, 50, "split", tmp_path)
    assert (folder / "ids.npy").stat().st_mtime_ns == stamp
    assert np.array_equal(first.ids, again.ids) and again.too_long == 1
    tokens_of(LONG, tokenizer, 60, "split", tmp_path)
    assert len(list(tmp_path.iterdir())) == 2
