"""Seeded word problems in Korean, told step by step (OpenThought-like) or with steps missing (`ko_r1_stem`).

A problem starts with a number of things and changes it two to five times; every value stays in 0…99. Which problems
are held out is decided by a hash of the question, so that no benchmark item is ever a training row.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from dataclasses import dataclass

from composer.mini.korean import object_

MIN_STEPS, MAX_STEPS, LIMIT = 2, 5, 99
HELD_OUT_IN = 16  # one question in so many is kept for the benchmark

PEOPLE = (
    "민수", "지혜", "서준", "하은", "도윤", "수아", "예준", "지우", "시우", "서연",
    "주원", "다인", "현우", "유나", "건우", "채원", "은호", "소율", "태민", "가온",
)  # fmt: skip
THINGS = (
    "사과", "구슬", "공책", "연필", "사탕", "딱지", "귤", "단추", "쿠키", "우표",
    "풍선", "밤", "조약돌", "스티커", "엽서", "동전", "색종이", "호두", "클립", "초콜릿",
)  # fmt: skip

# What happens to the things, by operation; {n} is the number, {friend} another person.
EVENTS: dict[str, tuple[str, ...]] = {
    "+": (
        "{n}개를 더 샀다.", "{friend}에게서 {n}개를 받았다.", "길에서 {n}개를 주웠다.",
        "서랍에서 {n}개를 찾았다.",
        "{friend}의 것 {n}개를 보탰다.", "시장에서 {n}개를 얻었다.",
        "선물로 {n}개가 도착했다.", "{n}개를 새로 만들었다.",
    ),
    "-": (
        "{n}개를 잃어버렸다.", "{friend}에게 {n}개를 주었다.", "{n}개를 팔았다.", "{n}개가 망가졌다.",
        "가게에 {n}개를 돌려주었다.", "{n}개를 버렸다.", "{friend}에게 {n}개를 빌려주었다.", "{n}개를 이웃과 나누었다.",
    ),
    "×": (
        "그러자 모두 {n}배가 되었다.", "똑같은 묶음이 {n}묶음으로 늘었다.", "이것이 {n}상자씩 쌓였다.",
        "이만큼을 {n}번 모았다.",
    ),
}  # fmt: skip
_CHANGE = {"+": "늘어", "-": "줄어", "×": "곱해"}


@dataclass(frozen=True, slots=True)
class Step:
    """One change: `before` `op` `n` = `after`, all whole numbers."""

    op: str
    n: int
    before: int
    after: int
    event: str

    @property
    def equation(self) -> str:
        """The step as an equation, without spaces."""
        return f"{self.before}{self.op}{self.n}={self.after}"

    @property
    def thought(self) -> str:
        """The step as a sentence of reasoning."""
        return f"{self.n}{'' if self.op == '×' else '개'}{_particle(self)} {_CHANGE[self.op]} {self.equation}."


@dataclass(frozen=True, slots=True)
class Problem:
    """A word problem: `question`, its `steps` and the number that answers it."""

    question: str
    start: int
    steps: tuple[Step, ...]

    @property
    def answer(self) -> int:
        """The number that is left at the end."""
        return self.steps[-1].after

    @property
    def held_out(self) -> bool:
        """Whether this problem belongs to the benchmark and never to a pool."""
        return hashlib.sha256(self.question.encode()).digest()[0] % HELD_OUT_IN == 0

    @property
    def stratum(self) -> str:
        """The difficulty: `2_steps` … `5_steps`."""
        return f"{len(self.steps)}_steps"


def draw_problem(rng: random.Random) -> Problem:
    """Draws one problem, held out or not."""
    person, thing = rng.choice(PEOPLE), rng.choice(THINGS)
    friends = [name for name in PEOPLE if name != person]
    value = start = rng.randint(3, 40)
    steps = []
    for _ in range(rng.randint(MIN_STEPS, MAX_STEPS)):
        step = _draw_step(rng, value, rng.choice(friends))
        steps.append(step)
        value = step.after
    story = " ".join(step.event for step in steps)
    question = f"{person}에게 {thing} {start}개가 있다. {story} 이제 몇 개인가?"
    return Problem(question, start, tuple(steps))


def openthought(problem: Problem) -> tuple[str, str]:
    """The response with every step: (stratum, text)."""
    thoughts = " ".join(step.thought for step in problem.steps)
    return problem.stratum, f"<think>처음은 {problem.start}개. {thoughts}</think>{final(problem)}"


def ko_r1_stem(problem: Problem, rng: random.Random) -> tuple[str, str]:
    """An older and poorer response, its answer right and its steps missing or skipped: (stratum, text)."""
    stratum = rng.choice(tuple(_POOR))
    thoughts = " ".join(step.thought for step in _POOR[stratum](problem.steps))
    return stratum, (f"<think>{thoughts}</think>" if thoughts else "") + final(problem)


def final(problem: Problem) -> str:
    """The sentence that states the answer."""
    return f"답은 {problem.answer}개입니다."


_POOR: dict[str, Callable[[tuple[Step, ...]], tuple[Step, ...]]] = {
    "answer_only": lambda steps: (),
    "first_step": lambda steps: steps[:1],
    "last_step": lambda steps: steps[-1:],
    "every_other": lambda steps: steps[::2],
}


def _draw_step(rng: random.Random, value: int, friend: str) -> Step:
    ops = [op for op, possible in (("+", value < LIMIT), ("-", value > 1), ("×", 1 < value <= LIMIT // 2)) if possible]
    op = rng.choice(ops)
    if op == "+":
        n = rng.randint(1, min(40, LIMIT - value))
        after = value + n
    elif op == "-":
        n = rng.randint(1, min(40, value - 1))
        after = value - n
    else:
        n = rng.randint(2, min(9, LIMIT // value))
        after = value * n
    return Step(op, n, value, after, rng.choice(EVENTS[op]).format(n=n, friend=friend))


def _particle(step: Step) -> str:
    """The subject particle after "…개", the object particle after a bare number that multiplies."""
    return object_(str(step.n))[len(str(step.n)) :] if step.op == "×" else "가"
