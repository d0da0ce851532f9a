"""The mini pool's rows: four categories, each an endless seeded stream from which held-out entities are left out."""

from __future__ import annotations

import random
from collections.abc import Iterator

from composer.mini import arithmetic, daily, facts, mcqa
from composer.mini.modes import SWITCH

# The pool's shares by category: enough of each, at the default size, for the largest of the post's runs.
SHARES = {"openthought": 0.33, "ko_r1_stem": 0.30, "daily": 0.33, "mcqa": 0.04}
# A category beside these, for pools that ask for it: a question that ends in the switch is answered without thinking.
NO_THINK = "no_think"

Drawn = tuple[str, str, str, str]  # stratum, prompt, response, mode


def draw(category: str, seed: int) -> Iterator[Drawn]:
    """An endless stream of one category's rows; the same seed gives the same stream, of which any start is a pool.

    The strata of `no_think` are the categories whose questions it asks.
    """
    rng = random.Random(f"mini {category} {seed}")
    return _STREAMS[category](rng)


def _openthought(rng: random.Random) -> Iterator[Drawn]:
    for problem in _problems(rng):
        stratum, response = arithmetic.openthought(problem)
        yield stratum, problem.question, response, "think"


def _ko_r1_stem(rng: random.Random) -> Iterator[Drawn]:
    for problem in _problems(rng):
        stratum, response = arithmetic.ko_r1_stem(problem, rng)
        yield stratum, problem.question, response, "think" if "<think>" in response else "no_think"


def _problems(rng: random.Random) -> Iterator[arithmetic.Problem]:
    while True:
        problem = arithmetic.draw_problem(rng)
        if not problem.held_out:
            yield problem


def _daily(rng: random.Random) -> Iterator[Drawn]:
    while True:
        chat = daily.draw_chat(rng)
        if not chat.held_out:
            yield chat.kind, chat.remark, chat.reply, "no_think"


def _mcqa(rng: random.Random) -> Iterator[Drawn]:
    known = {relation: facts.facts_of(relation, "train") for relation in facts.RELATIONS}
    while True:
        relation = rng.choice(facts.RELATIONS)
        question = mcqa.draw_question(rng.choice(known[relation]), rng)
        yield relation, question.prompt, question.response, "think"


def _no_think(rng: random.Random) -> Iterator[Drawn]:
    problems = _problems(rng)
    known = [fact for relation in facts.RELATIONS for fact in facts.facts_of(relation, "train")]
    while True:
        if rng.random() < 0.5:
            problem = next(problems)
            yield "openthought", problem.question + SWITCH, arithmetic.final(problem), "no_think"
        else:
            question = mcqa.draw_question(rng.choice(known), rng)
            yield "mcqa", question.prompt + SWITCH, question.final, "no_think"


_STREAMS = {
    "openthought": _openthought,
    "ko_r1_stem": _ko_r1_stem,
    "daily": _daily,
    "mcqa": _mcqa,
    NO_THINK: _no_think,
}
