"""Multiple-choice questions on the facts: four options, one of them right, answered after one recalled fact."""

from __future__ import annotations

import random
from dataclasses import dataclass

from composer.mini.facts import Fact, Relation, values_of
from composer.mini.korean import copula, subject, topic

LETTERS = "ABCD"

_QUESTION: dict[Relation, tuple[str, ...]] = {
    "currency": ("{e}의 통화는 무엇인가?", "{e}에서 쓰는 통화를 고르시오."),
    "language": ("{e}의 언어는 무엇인가?", "{e}에서 가장 많이 쓰는 언어를 고르시오."),
    "continent": ("{e}의 대륙은 무엇인가?", "{e:이} 있는 대륙을 고르시오."),
    "city": ("{e}의 나라는 무엇인가?", "{e:이} 있는 나라를 고르시오."),
}
_STATEMENT: dict[Relation, str] = {
    "currency": "{e}의 통화는 {v}.",
    "language": "{e}의 언어는 {v}.",
    "continent": "{e}의 대륙은 {v}.",
    "city": "{e}의 나라는 {v}.",
}


@dataclass(frozen=True, slots=True)
class Question:
    """One question with its options in order; `answer` is the right option's letter."""

    fact: Fact
    prompt: str
    options: tuple[str, ...]
    answer: str

    @property
    def response(self) -> str:
        """The reference response: the fact, the option that holds it, the letter."""
        value = self.fact.value
        return f"<think>{statement(self.fact)} {topic(value)} {self.answer}.</think>{self.final}"

    @property
    def final(self) -> str:
        """The sentence that states the answer."""
        return f"정답은 {self.answer}입니다."


def statement(fact: Fact) -> str:
    """The fact as one plain sentence."""
    return _STATEMENT[fact.relation].format(e=fact.entity, v=copula(fact.value))


def draw_question(fact: Fact, rng: random.Random) -> Question:
    """Asks for `fact` with three other values of its relation, in random order."""
    others = [value for value in values_of(fact.relation) if value != fact.value]
    options = [fact.value, *rng.sample(others, len(LETTERS) - 1)]
    rng.shuffle(options)
    ask = rng.choice(_QUESTION[fact.relation]).replace("{e:이}", subject(fact.entity)).format(e=fact.entity)
    listed = "\n".join(f"{letter}. {option}" for letter, option in zip(LETTERS, options, strict=True))
    return Question(fact, f"{ask}\n{listed}", tuple(options), LETTERS[options.index(fact.value)])
