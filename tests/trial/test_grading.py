import pytest

from composer.trial.grading import bits_per_byte, choice, mathematics

OPTIONS = ["서울", "부산", "대구", "광주"]


def asked(mode, **more):
    return {"question": "?", "options": OPTIONS, "answer": "B", "mode": mode, **more}


@pytest.mark.parametrize(
    ("mode", "text", "accuracy", "unfinished", "unanswered", "in_mode"),
    [
        ("think", "<think>부산이다.</think>정답: B", 1, 0, 0, 1),
        ("think", "<think>부산이다.</think>정답: A", 0, 0, 0, 1),
        ("think", "<think>부산이다. 정답: B", 0, 1, 1, 0),
        ("think", "정답: B", 1, 0, 0, 0),
        ("think", "<think>부산이다.</think>모르겠습니다.", 0, 0, 1, 1),
        ("no_think", "정답: B", 1, 0, 0, 1),
        ("no_think", "<think>\n\n</think>정답: B", 1, 0, 0, 1),
        ("no_think", "<think>부산이다.</think>정답: B", 0, 0, 0, 0),
        ("no_think", "<think>부산이다. 정답: B", 0, 1, 1, 0),
    ],
)
def test_what_counts(mode, text, accuracy, unfinished, unanswered, in_mode):
    assert choice(asked(mode), [text]) == {
        "accuracy": accuracy,
        "unfinished": unfinished,
        "unanswered": unanswered,
        "in_mode": in_mode,
    }


def test_a_part_has_an_accuracy_of_its_own():
    graded = mathematics(
        {"answer": "\\frac{1}{2}", "mode": "think", "part": "mt_math100"}, ["<think>.</think>\\boxed{0.5}"]
    )
    assert graded["accuracy"] == graded["accuracy_mt_math100"] == 1


def test_an_answer_thought_but_not_said_is_none():
    assert mathematics({"answer": "3", "mode": "think"}, ["<think>\\boxed{3}</think>"])["accuracy"] == 0


def test_bits_per_byte_of_one_bit_a_byte():
    log_of_half = -0.6931471805599453
    assert bits_per_byte({"response": "abcd"}, [(4 * log_of_half, False)]) == {"bits_per_byte": pytest.approx(1)}
