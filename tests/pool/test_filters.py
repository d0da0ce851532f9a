"""What filters keep, and why they reject."""

import json
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from composer.errors import PoolError
from composer.pool.filters import RULES, Batch, first_reasons
from composer.pool.filters.encoding import composed
from composer.pool.filters.images import without_images
from composer.pool.filters.letters import Letters, prose, utf8
from composer.pool.filters.rules import parameters
from composer.pool.store import MESSAGES


def count(messages):
    return np.array([sum(len(turn["content"]) for turn in turns) for turns in messages.to_pylist()], np.int64)


def rows(*responses, prompt="질문", **columns):
    turns = [[{"role": "user", "content": prompt}, {"role": "assistant", "content": one}] for one in responses]
    return Batch(pa.table({"messages": pa.array(turns, MESSAGES), **columns}), count)


def chats(*conversations):
    turns = [[{"role": role, "content": content} for role, content in one] for one in conversations]
    return Batch(pa.table({"messages": pa.array(turns, MESSAGES)}))


def reasons(batch, name, **given):
    places, names = first_reasons(batch, {name: given})
    return [None if place < 0 else names[place].removeprefix(f"{name}: ") for place in places]


def test_thinking_and_answer_are_parted_at_the_tags():
    batch = rows("앞<think>a\nb</think>뒤", "답만", "</think>x<think>", "<think>끝없이", "")
    assert batch.thinking.to_pylist() == ["a\nb", "", "", "", ""]
    assert batch.answer.to_pylist() == ["뒤", "답만", "</think>x<think>", "<think>끝없이", ""]


def test_the_last_turns_are_prompt_and_response():
    batch = chats(
        [("system", "s"), ("user", "1"), ("assistant", "2"), ("user", "3"), ("assistant", "4")], [("user", "1")], []
    )
    assert batch.prompt.to_pylist() == ["3", "1", ""] and batch.response.to_pylist() == ["4", "", ""]
    assert reasons(batch, "answer") == [None, "no response", "no response"]


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        ("<think>음</think>답", None),
        ("답", "none"),
        ("<think>음", "never closed"),
        ("음</think>답", "never opened"),
        ("<think>음</think><think>음</think>답", "several"),
        ("</think>음<think>답", "closed before it is opened"),
        ("<think> \n</think>답", "empty"),
    ],
)
def test_one_thinking(response, reason):
    assert reasons(rows(response), "one_thinking") == [reason]
    assert reasons(rows(response), "no_thinking") == [None if response == "답" else "thinks"]


def test_thinking_that_the_user_does_is_none_of_the_assistants():
    batch = chats(
        [("user", "<think>음</think>"), ("assistant", "답")],
        [("user", "1"), ("assistant", "<think>음</think>답"), ("user", "2"), ("assistant", "답")],
    )
    assert reasons(batch, "one_thinking") == ["not in the assistant's turn"] * 2


def test_korean_is_asked_of_the_answer_and_not_of_code_or_latex():
    batch = rows(
        "<think>let me see</think>답은 4입니다.", "<think>한글로 생각</think>The answer is 4.",
        "```python\n# 한글 주석\n```", "$\\text{한글}$ is the answer", "값은 `x`", "The answer is 사과 of course",
    )  # fmt: skip
    assert reasons(batch, "korean_response") == [None, "no Korean", "no Korean", "no Korean", None, None]
    assert reasons(batch, "korean_response", share=0.5)[-1] == "too little Korean"
    assert reasons(batch, "korean_response", words=2) == [
        None, "no Korean", "no Korean", "no Korean", "too little Korean", "too little Korean",
    ]  # fmt: skip


def test_the_language_of_the_thinking():
    batch = rows("<think>let me see</think>답", "<think>생각해 보면 x = 3</think>답", "답")
    assert reasons(batch, "thinking_language", language="korean") == ["is not korean", None, None]
    assert reasons(batch, "thinking_language", language="english") == [None, "is not english", None]


def slow(text):
    """Letters of a text, a character at a time."""

    def hangul(c):
        return "가" <= c <= "힣" or "\u1100" <= c <= "\u11ff" or "\u3130" <= c <= "\u318f"

    words = (
        text.replace("\v", " ").replace("\f", " ").replace("\n", " ").replace("\t", " ").replace("\r", " ").split(" ")
    )
    return (
        sum(map(hangul, text)), sum(c.isascii() and c.isalpha() for c in text),
        sum(any(map(hangul, word)) for word in words),
    )  # fmt: skip


TEXTS = st.lists(st.text(st.sampled_from("가힣ㄱㆎ한글 aZ\n\té漢あ。—😀1,"), max_size=12), max_size=8)


@given(TEXTS, st.integers(0, 3))
def test_letters_are_counted_as_they_are_one_by_one(texts, skipped):
    told = Letters(pa.array(["가나"] * skipped + texts, pa.string()).slice(skipped))
    expected = [slow(text) for text in texts]
    counted = zip(told.hangul.tolist(), told.latin.tolist(), told.hangul_words.tolist(), strict=True)
    assert list(counted) == expected
    assert told.others.tolist() == [sum(text.count(c) for c in "é漢あ") for text in texts]


def test_other_scripts_are_letters_and_marks_are_none():
    told = Letters(pa.array(["漢字かなЖñ", "— … 。「」①→😀！", ""]))
    assert told.others.tolist() == [6, 0, 0] and told.hangul_share.tolist() == [0, 0, 0]


def test_prose_is_what_is_left():
    told = prose(
        pa.array(["a ```x\ny``` b `c` \\(d\\) $e$ \\frac f \\begin{align}g\\end{align}", "비용은 5$ 입니다", "h"])
    )
    assert [text.split() for text in told.to_pylist()] == [["a", "b", "f"], ["비용은", "5$", "입니다"], ["h"]]


@pytest.mark.parametrize(
    "text", ["<img src='a.png'>", "![그림](a.png)", "data:image/png;base64,iVBORw0KGgo=", "<IMG SRC=x/>"]
)
def test_images_are_found_in_any_turn_and_taken_out(text):
    assert reasons(rows(f"앞 {text} 뒤"), "images") == ["has an image"]
    assert reasons(rows("답", prompt=text), "images") == ["has an image"]
    assert without_images(pa.array([f"앞 {text} 뒤"])).to_pylist() == ["앞  뒤"]


def test_what_only_looks_like_an_image_is_none():
    assert reasons(rows("[링크](a.html)", "an <imgx> tag", "a! [b] (c)"), "images") == [None] * 3


def test_lengths():
    batch = rows("가" * 10, "가" * 100, original=["x" * 10, None])
    assert reasons(batch, "characters", least=20) == ["too short", None]
    assert reasons(batch, "characters", most=50) == [None, "too long"]
    assert reasons(batch, "tokens", least=20, most=40) == ["too short", "too long"]
    assert reasons(batch, "length_ratio", least=1.5) == ["too short", None]
    assert reasons(batch, "length_ratio", most=0.5) == ["too long", None]
    with pytest.raises(PoolError, match="column original"):
        RULES["length_ratio"](rows("답"))
    with pytest.raises(PoolError, match="no tokeniser"):
        RULES["tokens"](Batch(rows("답").table))


def test_a_response_must_end_on_the_right_answer():
    told = {
        "모두 9 + 7 = 16개입니다.": ("16", True),
        "넓이는 200m^2이다.": ("200", True),
        "6개의 봉지가 필요합니다 (3x6=18).": ("6", True),
        "25센트짜리 동전은 70개입니다.": ("70.0", True),
        "49개의 1센트짜리 동전이 있습니다.": ("49", True),
        "#### 1,218": ("계산 <<1>>\n#### 1218", True),
        "답은 3/4입니다.": ("0.75", True),
        "따라서 39개이고, 남은 것은 8개입니다.": ("39", False),
        "28과 54 사이의 차이는": ("26.0", False),
        "모르겠습니다.": ("3", False),
        "정답: \\boxed{12}, 3번 확인함": ("12", True),
        "무엇이든": (None, True),
    }
    batch = rows(*told, gold=[gold for gold, _ in told.values()])
    assert reasons(batch, "gold_answer") == [None if right else "another answer" for _, right in told.values()]


def test_answers_that_are_missing_or_cut_off():
    batch = rows("<think>음</think> ", "답은 4", "따라서,", "```python\nx", "```python\nx\n```", "네")
    assert reasons(batch, "answer") == ["empty", None, "cut off", "cut off", None, None]
    assert reasons(batch, "answer", least=2)[-1] == "too short"


def test_broken_text():
    mistaken = "안녕하세요".encode().decode("latin-1")
    batch = rows("안녕", "안\ufffd녕", mistaken, "a\x00b", "탭\t과\n줄", "café à la carte")
    assert reasons(batch, "encoding") == [None, "is broken", "is broken", "has control characters", None, None]
    assert composed(pa.array(["\u1112\u1161\u11ab"])).to_pylist() == ["한"]


def test_the_first_reason_is_told_and_rules_have_defaults():
    places, names = first_reasons(rows("<img>", "<img> 가"), {"images": {}, "korean_response": {"words": 1}})
    assert [names[place] for place in places] == ["images: has an image"] * 2
    assert parameters("korean_response") == {"words": 1, "share": 0.0}


@pytest.mark.parametrize("name", RULES)
def test_every_rule_takes_an_empty_batch_and_says_what_it_does(name):
    batch = rows(original=pa.array([], pa.string()), gold=pa.array([], pa.string()))
    assert all(len(mask) == 0 for mask in RULES[name](batch).values()) and RULES[name].__doc__


def test_bytes_of_a_slice_are_its_own():
    data, ends = utf8(pa.array(["abc", "가", "", "d"]).slice(1, 3))
    assert bytes(data) == "가d".encode() + b"\0" and ends.tolist() == [3, 3, 4]


DATA = Path(os.environ.get("COMPOSER_DATA", "../shared/data")) / "pool" / "think_traces"


@pytest.mark.skipif(not DATA.is_dir(), reason="the think traces are not here: set COMPOSER_DATA")
def test_the_traces_that_made_the_loss_spike_are_told_from_the_others():
    def told(name):
        lines = [json.loads(line) for line in (DATA / name).read_text(encoding="utf-8").splitlines()]
        batch = rows(*(f"<think>{one['thinking']}</think>{one['response']}" for one in lines))
        return lines, np.array([one is not None for one in reasons(batch, "korean_response")])

    _, english = told("traces_en.jsonl")
    assert english.all()
    lines, rejected = told("traces_ko.jsonl")
    hangul = np.array([any("가" <= c <= "힣" for c in one["response"]) for one in lines])
    correct = np.array([bool(one["correct"]) for one in lines])
    assert (correct & ~hangul).sum() == 634 and rejected[correct & ~hangul].all()
