import os
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from composer.answers import equality
from composer.answers.equality import same_answer


@pytest.mark.parametrize(
    ("answer", "gold"),
    [
        ("1/2", "\\frac{1}{2}"),
        ("0.5", "\\dfrac{1}{2}"),
        ("3\\sqrt{13}", "\\sqrt{117}"),
        ("\\left(3, \\frac{\\pi}{2}\\right)", "(3, \\frac{\\pi}{2})"),
        ("x=5", "5"),
        ("\\{2, 1\\}", "\\{1,2\\}"),
        ("1 + 2x", "2x+1"),
        ("1,234", "1234"),
        ("322\\,471", "322471"),
        ("204개", "204"),
        ("3.00", "3"),
        ("10\\%", "10"),
        ("\\text{Evelyn}", "Evelyn"),
        ("−7", "-7"),
        ('{"가": true, "나": 3}', "{'나': 3, '가': True}"),
    ],
)
def test_ways_of_writing_one_answer_are_the_same(answer, gold):
    assert same_answer(answer, gold)


@pytest.mark.parametrize(
    ("answer", "gold"),
    [
        ("12", "13"),
        ("1/3", "0.3"),
        ("(1, 2)", "(2, 1)"),
        ("5개", "5원"),
        ("1 2 3", "123"),
        ("ABC", "CAB"),
        ("6847d9ce", "6847f9ce"),
        ("2x+1", "2x-1"),
        ("서울", "부산"),
        ("1 2 4 3", "1 2 3 4"),
        ('{"가": true}', "{'가': False}"),
        ("x", ""),
    ],
)
def test_different_answers_are_different(answer, gold):
    assert not same_answer(answer, gold)


@given(st.integers(-(10**9), 10**9), st.integers(-(10**9), 10**9))
def test_whole_numbers_are_compared_by_value(one, other):
    assert same_answer(f"{one:,}", str(other)) == (one == other)


@settings(max_examples=30)
@given(st.integers(-20, 20), st.integers(1, 20), st.integers(2, 9))
def test_a_fraction_is_the_same_when_expanded(top, bottom, factor):
    assert same_answer(f"\\frac{{{top * factor}}}{{{bottom * factor}}}", f"\\frac{{{top}}}{{{bottom}}}")


def test_a_thread_may_ask():
    found = []
    thread = threading.Thread(target=lambda: found.append(same_answer("\\frac{4}{8}", "\\frac{1}{2}")))
    thread.start()
    thread.join()
    assert found == [True]


def test_a_process_that_was_forked_asks_a_child_of_its_own():
    assert same_answer("\\frac{4}{8}", "\\frac{1}{2}")
    pid = os.fork()
    if pid == 0:
        os._exit(0 if same_answer("\\frac{6}{8}", "\\frac{3}{4}") else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert same_answer("\\frac{5}{10}", "\\frac{1}{2}")


def test_an_answer_that_never_ends_computing_is_wrong_and_ends(monkeypatch):
    same_answer("\\frac{4}{8}", "\\frac{1}{2}")
    monkeypatch.setattr(equality, "SECONDS", 1.0)
    started = time.monotonic()
    assert not same_answer("9^{9^{9^{9}}}", "3^{2}")
    assert time.monotonic() - started < 5
    monkeypatch.undo()
    assert same_answer("\\frac{4}{8}", "\\frac{1}{2}")


def test_digits_without_end_are_an_answer_like_any_other():
    assert not same_answer("3" * 6000, "3")
    assert same_answer("3" * 6000, "3" * 6000)
