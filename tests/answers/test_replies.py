import pytest
from hypothesis import given
from hypothesis import strategies as st

from composer.answers.replies import boxes, read, stated_answer, stated_letter

OPTIONS = ["서울", "부산", "대구", "광주"]


@pytest.mark.parametrize(
    ("text", "thinking", "answer", "finished"),
    [
        ("<think>1+1은 2.</think>\n\n2입니다.", "1+1은 2.", "2입니다.", True),
        ("1+1은 2.</think>2입니다.", "1+1은 2.", "2입니다.", True),  # the template opened the thinking
        ("<think>끝나지 않는", "끝나지 않는", "", False),
        ("2입니다.", "", "2입니다.", True),
        ("<think>\n\n</think>\n\n2입니다.", "", "2입니다.", True),
        ("<think>가</think>나</think>다", "가</think>나", "다", True),
    ],
)
def test_a_reply_is_thinking_and_answer(text, thinking, answer, finished):
    reply = read(text)
    assert (reply.thinking, reply.answer, reply.finished) == (thinking, answer, finished)
    assert reply.thinks == bool(thinking)


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("정답: B", "B"),
        ("정답은 (B)입니다.", "B"),
        ("**정답: B**", "B"),
        ("### 정답\nB", "B"),
        ("정답은 B번입니다", "B"),
        ("정답: C) 대구", "C"),
        ("Answer: **C**", "C"),
        ("정답: <D>", "D"),
        ("최종 답: \\(\\boxed{A}\\)", "A"),
        ("\\boxed{\\text{D}}", "D"),
        ("정답: $\\boxed{A}$", "A"),
        ("따라서 정답은 ②입니다.", "B"),
        ("A, B, C는 모두 틀립니다.\n(D)", "D"),
        ("고른 글자는\n**B**", "B"),
        ("정답: 부산", "B"),
        ("처음에는 정답: A라고 보았지만, 다시 보니\n정답: C", "C"),
        ("\\boxed{A}가 아니라\n정답: C", "C"),
        ("정답은 A가 아니다. 정답은 C이다.", "C"),
        ("정답: A 또는 B", None),
        ("정답: A, B", None),
        ("the answer is a prime number", None),
        ("부산은 항구입니다.", None),
        ("Apple pie", None),
        ("", None),
    ],
)
def test_the_letter_that_a_reply_states(text, letter):
    assert stated_letter(text, OPTIONS) == letter


def test_words_that_are_two_options_state_neither():
    assert stated_letter("정답: 서울", ["서울", "서울", "대구", "광주"]) is None


@pytest.mark.parametrize(
    ("text", "stated"),
    [
        ("따라서 \\boxed{\\frac{1}{2}}입니다.", "\\frac{1}{2}"),
        ("\\boxed{1}이 아니라 \\boxed{\\{1, 2\\}}", "\\{1, 2\\}"),
        ("정답: 12\n검산: 3×4=12", "12"),
        ("**Answer:** (3, 4).", "(3, 4)"),
        ("### 정답\n정답: 7", "7"),
        ("계산하면 정답은 12입니다.", "12"),
        ("the final answer is $\\frac{3}{4}$.", "\\frac{3}{4}"),
        ("42", "42"),
        ('```json\n{"a": 1}\n```', '{"a": 1}'),
        ("먼저 3을 더합니다.\n그러면 됩니다.", None),
        ("\\boxed{", None),
        ("", None),
    ],
)
def test_the_final_answer_that_a_reply_states(text, stated):
    assert stated_answer(text) == stated


@given(st.text(alphabet="ab{}\\ ", max_size=20), st.text(alphabet="가나 .", max_size=10))
def test_a_balanced_box_is_found_whatever_stands_around_it(inside, around):
    balanced = inside.replace("\\", "")
    depth = 0
    for sign in balanced:
        depth += {"{": 1, "}": -1}.get(sign, 0)
        if depth < 0:
            break
    if depth == 0 and balanced.strip():
        assert boxes(f"{around}\\boxed{{{balanced}}}{around}") == [(len(around), balanced)]


@given(st.text(max_size=200))
def test_no_text_is_too_odd_to_read(text):
    reply = read(text)
    stated_answer(reply.answer)
    stated_letter(reply.answer, OPTIONS)
