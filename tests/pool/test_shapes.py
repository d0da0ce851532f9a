"""How columns of a source become messages."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from composer.pool.sources.shapes import SHAPES


def made(name, table, **given):
    messages, problems = SHAPES[name].make(pa.table(table), **given)
    messages.validate(full=True)
    assert len(messages) == len(problems)
    return [
        problem if problem else [(turn["role"], turn["content"]) for turn in turns]
        for turns, problem in zip(messages.to_pylist(), problems.tolist(), strict=True)
    ]


def test_chat_turns_of_either_kind_take_the_names_that_templates_know():
    told = [["human", "하나"], ["gpt", "둘"]]
    other = [
        [{"from": a, "value": b} for a, b in told],
        [{"from": "alien", "value": "x"}, {"from": "gpt", "value": "y"}],
    ]
    found = made("conversations", {"conversations": other})
    assert found[0] == [("user", "하나"), ("assistant", "둘")] and found[1].startswith(
        "the role 'alien' is none of user"
    )
    chats = [
        [{"role": "System", "content": "s"}, {"role": "user", "content": "u"}, {"role": "assistant", "content": ""}],
        [{"role": "user", "content": "u"}], [], None, [{"role": "assistant", "content": None}],
    ]  # fmt: skip
    assert made("messages", {"messages": chats}) == [
        [("system", "s"), ("user", "u"), ("assistant", "")], "no turn of the assistant", "no turns", "no turns",
        "a turn has no content",
    ]  # fmt: skip


def test_a_slice_of_turns_is_its_own():
    turns = pa.array([[{"role": "user", "content": "x"}], [{"role": "assistant", "content": "y"}], None]).slice(1)
    assert made("messages", {"messages": turns}) == [[("assistant", "y")], "no turns"]


def test_an_input_stands_behind_its_instruction():
    table = {
        "instruction": ["더하라", "쓰라", None, " "],
        "input": ["1, 2", " ", "x", None],
        "output": ["3", "글", "y", "z"],
    }
    assert made("instruction", table) == [
        [("user", "더하라\n\n1, 2"), ("assistant", "3")], [("user", "쓰라"), ("assistant", "글")],
        "no prompt", "no prompt",
    ]  # fmt: skip
    del table["input"]
    assert made("instruction", table)[0] == [("user", "더하라"), ("assistant", "3")]


def test_thinking_goes_between_tags():
    table = {"prompt": ["1+1?"] * 3, "thinking": ["음 ", None, "음"], "response": ["2", "2", None]}
    assert made("reasoning", table) == [
        [("user", "1+1?"), ("assistant", "<think>\n음\n</think>\n\n2")], [("user", "1+1?"), ("assistant", "2")],
        "no response",
    ]  # fmt: skip


def right(found):
    """The text of the option that the response names."""
    (_, prompt), (_, response) = found
    options = dict(line.split(". ", 1) for line in prompt.rsplit("\n\n", 1)[1].split("\n"))
    return options[response.removeprefix("정답: ")]


@pytest.mark.parametrize(
    ("answer", "told"), [("0", "2"), ("1", "3"), ("letter", "(C)"), ("letter", "c"), ("text", "셋 ")]
)
def test_an_answer_may_be_a_number_a_letter_or_the_choice_itself(answer, told):
    listed = {"prompt": ["몇?"], "answer": [told], "choices": [["하나", "둘", "셋", "넷"]]}
    apart = {
        "prompt": ["몇?"],
        "answer": [told],
        **{f"choice {n}": [one] for n, one in enumerate(listed["choices"][0])},
    }
    found = made("choices", listed, answer=answer)
    assert found == made("choices", apart, answer=answer) and right(found[0]) == "셋"


@given(
    st.lists(st.text("가나다라 x", min_size=1).filter(str.strip), min_size=2, max_size=8, unique_by=str.strip),
    st.data(),
)
def test_the_order_of_the_options_is_the_seeds_and_not_the_sources(given, data):
    place = data.draw(st.integers(0, len(given) - 1))
    other = data.draw(st.permutations(given))

    def found(choices, seed):
        return made("choices", {"prompt": ["?"], "answer": [given[place]], "choices": [choices]}, seed=seed)

    assert found(given, 0) == found(other, 0) and right(found(given, 0)[0]) == given[place].strip()


def test_every_letter_is_right_about_as_often():
    rows = 2000
    table = {
        "prompt": [f"질문 {n}" for n in range(rows)],
        "answer": ["0"] * rows,
        "choices": [["가", "나", "다", "라"]] * rows,
    }
    found = [row[1][1][-1] for row in made("choices", table, answer="0")]
    assert all(abs(found.count(letter) - rows / 4) < 100 for letter in "ABCD")
    assert found != [row[1][1][-1] for row in made("choices", table, answer="0", seed=1)]


def test_all_questions_may_have_the_same_options_under_other_names():
    table = {"prompt": ["지구는 둥글다."], "context": ["지구 이야기."], "answer": ["TRUE"]}
    found = made("choices", table, options=("TRUE", "FALSE"), said={"TRUE": "참", "FALSE": "거짓"})
    assert right(found[0]) == "참" and found[0][0][1].startswith("지구 이야기.\n\n지구는 둥글다.\n\nA. ")


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ((" ", "0", ["a", "b"]), "no prompt"),
        (("?", "5", ["a", "b"]), "the answer '5' is none of the 2 choices"),
        (("?", None, ["a", "b"]), "the answer '' is none of the 2 choices"),
        (("?", "²", ["a", "b"]), "the answer '²' is none of the 2 choices"),
        (("?", "0", ["a", None]), "1 of 2 choices have text"),
        (("?", "0", None), "0 of 0 choices have text"),
        (("?", "0", ["a", "a "]), "two choices are the same"),
    ],
)
def test_questions_that_cannot_be_asked(row, said):
    prompt, answer, choices = row
    table = {"prompt": [prompt], "answer": pa.array([answer], pa.string()), "choices": [choices]}
    assert made("choices", table, answer="0") == [said]


@pytest.mark.parametrize("name", SHAPES)
def test_every_shape_takes_no_rows(name):
    of = SHAPES[name]
    columns = of.columns({column: column for column in {**of.needs, **of.may}})
    assert made(name, {column: pa.array([], one.type) for column, one in columns.items()}) == []
