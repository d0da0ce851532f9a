"""What the mini base has read: plain statements of every fact, look-ups in lists, equations, everyday sentences.

None of it is a question, an answer or a thought: the multiple-choice format, the think format and the chat format are
left for the trials to teach, as a real base model's benchmarks' formats are.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from composer.mini import arithmetic, daily
from composer.mini.facts import NOUN, RELATIONS, Fact, all_facts, values_of
from composer.mini.korean import object_, subject, topic
from composer.mini.mcqa import statement

# Letters name the entries of a list, which stands in one line; no list looks like a multiple-choice question.
_LABELS = tuple("ABCDEFGH")
_ENTRY = ("{label}: {name}", "{label}) {name}")


# Marks in a document: what follows GIVEN is drawn at random, so there is nothing in it to learn, until LEARNED.
GIVEN, LEARNED = "\0", "\1"


def document(rng: random.Random) -> str:
    """Draws one document, in the proportions the base was trained on; it may hold marks."""
    return rng.choices([kind for kind, _ in _KINDS], [weight for _, weight in _KINDS])[0](rng)


def copying(rng: random.Random) -> str:
    """Draws one document of those that are about what stands in the document itself."""
    return rng.choice((lookups, echoes, glossaries))(rng)


def unmarked(document: str) -> str:
    """A document's text."""
    return document.replace(GIVEN, "").replace(LEARNED, "")


def facts(rng: random.Random) -> str:
    """A run of facts, each in one of its plain forms."""
    return " ".join(_tell(fact, rng) for fact in rng.choices(all_facts(), k=rng.randint(4, 10)))


def glossaries(rng: random.Random) -> str:
    """A heading and some names, then the fact of each, in the order of the names."""
    relation = rng.choice(RELATIONS)
    told = rng.sample([fact for fact in all_facts() if fact.relation == relation], rng.randint(2, 5))
    heading = rng.choice((topic(NOUN[relation]), object_(NOUN[relation])))
    named = ", ".join(fact.entity for fact in told)
    return f"{GIVEN}{heading} 적는다: {named}. {LEARNED}" + " ".join(statement(fact) for fact in told)


def lookups(rng: random.Random) -> str:
    """A list of labelled names, then where each stands, or what stands where."""
    pool = rng.choice([values_of(relation) for relation in RELATIONS] + [_EVERY_NAME])
    size = rng.randint(3, min(6, len(pool)))
    names, labels = rng.sample(pool, size), rng.sample(_LABELS, size)
    if rng.random() < 0.5:
        labels.sort()
    entry = rng.choice(_ENTRY)
    listed = ", ".join(entry.format(label=label, name=name) for label, name in zip(labels, names, strict=True))
    pairs = list(zip(names, labels, strict=True))
    rng.shuffle(pairs)  # each told once: a name told before could be looked up there, and the list left unread
    if rng.random() < 0.5:
        pairs = [(label, name) for name, label in pairs]
    return f"{GIVEN}{listed}. " + " ".join(f"{topic(asked)} {LEARNED}{told}{GIVEN}." for asked, told in pairs)


def echoes(rng: random.Random) -> str:
    """Names and numbers in a row, said again in the same order."""
    said = [
        rng.choice(_EVERY_WORD) if rng.random() < 0.7 else str(rng.randint(1, 99)) for _ in range(rng.randint(3, 9))
    ]
    row = rng.choice((", ", " ", " / ")).join(said)
    return f"{GIVEN}{row}. {LEARNED}" + ". ".join([row] * rng.randint(1, 2)) + "."


def equations(rng: random.Random) -> str:
    """Chains of equations, each going on from the result of the one before."""
    chains = []
    for _ in range(rng.randint(2, 4)):
        steps = arithmetic.draw_problem(rng).steps
        chains.append(rng.choice((", ", " ")).join(step.equation for step in steps))
    return ". ".join(chains) + "."


def stories(rng: random.Random) -> str:
    """What people have and what happens to it, with nothing asked."""
    problem = arithmetic.draw_problem(rng)
    told = [problem.question.rsplit(" 이제 몇 개인가?", 1)[0]]
    if rng.random() < 0.5:
        told.append(daily.draw_chat(rng).remark)
    return " ".join(told)


_KINDS: tuple[tuple[Callable[[random.Random], str], float], ...] = (
    (facts, 0.15),
    (glossaries, 0.2),
    (lookups, 0.25),
    (echoes, 0.15),
    (equations, 0.2),
    (stories, 0.05),
)
_EVERY_NAME = tuple(sorted({name for fact in all_facts() for name in (fact.entity, fact.value)}))
_EVERY_WORD = (
    *_EVERY_NAME, *_LABELS * 20, *arithmetic.PEOPLE, *arithmetic.THINGS,
    *(topic_ for talk in daily.TALKS.values() for topic_ in talk.topics),
)  # fmt: skip


def _tell(fact: Fact, rng: random.Random) -> str:
    e, v = fact.entity, fact.value
    forms = {
        "currency": (f"{e}에서는 {object_(v)} 쓴다.", f"{topic(v)} {e}의 돈이다."),
        "language": (f"{e} 사람들은 {object_(v)} 쓴다.", f"{topic(v)} {e}의 말이다."),
        "continent": (f"{topic(e)} {v}에 있다.", f"{v}에는 {subject(e)} 있다."),
        "city": (f"{topic(e)} {v}에 있다.", f"{v}에는 {subject(e)} 있다."),
    }
    return rng.choice((statement(fact), statement(fact), *forms[fact.relation]))
