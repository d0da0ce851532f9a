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
_BETWEEN = (", ", ", ", "; ", " / ", " | ")
# What separates parts of a text differs from page to page: the base learns not to mind which sign it is.
SIGNS = tuple(":)]>}/|*#~+-=·@&^_$%")


# Marks in a document: what follows GIVEN is drawn at random, so there is nothing in it to learn, until LEARNED.
GIVEN, LEARNED = "\0", "\1"


def document(rng: random.Random) -> str:
    """Draws one document, in the proportions the base was trained on; it may hold marks."""
    return rng.choices([kind for kind, _ in _KINDS], [weight for _, weight in _KINDS])[0](rng)


def copying(rng: random.Random) -> str:
    """Draws one document of those that are about what stands in the document itself."""
    return rng.choice((lookups, echoes, glossaries, notes))(rng)


def unmarked(document: str) -> str:
    """A document's text."""
    return document.replace(GIVEN, "").replace(LEARNED, "")


def facts(rng: random.Random) -> str:
    """A run of facts, each in one of its plain forms, in one line or in one each."""
    return rng.choice((" ", "\n")).join(_tell(fact, rng) for fact in rng.choices(all_facts(), k=rng.randint(4, 10)))


def glossaries(rng: random.Random) -> str:
    """A heading and some names, then the fact of each, in the order of the names."""
    relation = rng.choice(RELATIONS)
    told = rng.sample([fact for fact in all_facts() if fact.relation == relation], rng.randint(2, 5))
    heading = rng.choice((f"{topic(NOUN[relation])} 이렇다", f"{object_(NOUN[relation])} 적는다"))
    named = ", ".join(fact.entity for fact in told)
    return f"{GIVEN}{heading}: {named}. {_signs(rng)}{LEARNED}" + " ".join(statement(fact) for fact in told)


def notes(rng: random.Random) -> str:
    """A name and what is to be told of it, labelled values, then the fact and its value's label, at times twice."""
    told = []
    for _ in range(rng.randint(1, 3)):
        fact = rng.choice(all_facts())
        others = [value for value in values_of(fact.relation) if value != fact.value]
        values = [fact.value, *rng.sample(others, rng.randint(2, min(5, len(others))))]
        rng.shuffle(values)
        listed, label_of = _label(values, rng)
        told.append(
            f"{GIVEN}{_mention(fact, rng)} {listed}. {_signs(rng)}{LEARNED}{statement(fact)} "
            f"{topic(fact.value)} {label_of[fact.value]}."
        )
        if rng.random() < 0.5:
            told.append(f"{GIVEN}{_signs(rng) or rng.choice(SIGNS)} {LEARNED}{label_of[fact.value]}.")
    return " ".join(told)


def lookups(rng: random.Random) -> str:
    """A list of labelled names, then where each stands, or what stands where."""
    pool = rng.choice([values_of(relation) for relation in RELATIONS] + [_EVERY_NAME])
    listed, label_of = _label(rng.sample(pool, rng.randint(3, min(6, len(pool)))), rng)
    pairs = list(label_of.items())
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
    return f"{GIVEN}{row}. {_signs(rng)}{LEARNED}" + ". ".join([row] * rng.randint(1, 2)) + "."


def equations(rng: random.Random) -> str:
    """Chains of equations, each going on from the result of the one before."""
    chains = []
    for _ in range(rng.randint(2, 4)):
        steps = arithmetic.draw_problem(rng).steps
        chains.append(rng.choice((", ", " ")).join(step.equation for step in steps))
    return ". ".join(chains) + "."


def stories(rng: random.Random) -> str:
    """What people have and what happens to it, at times with how many there are then, and with nothing asked."""
    problem = arithmetic.draw_problem(rng)
    beginning, *_ = problem.question.partition(f" {problem.steps[0].event}")
    counted = rng.random() < 0.5
    told = [f"{step.event} 이제 {step.after}개다." if counted else step.event for step in problem.steps]
    if rng.random() < 0.3:
        told.append(daily.draw_chat(rng).remark)
    return rng.choice((" ", "\n")).join([beginning, *told])


_KINDS: tuple[tuple[Callable[[random.Random], str], float], ...] = (
    (facts, 0.12),
    (glossaries, 0.1),
    (notes, 0.2),
    (lookups, 0.18),
    (echoes, 0.1),
    (equations, 0.2),
    (stories, 0.1),
)
_EVERY_NAME = tuple(sorted({name for fact in all_facts() for name in (fact.entity, fact.value)}))
_EVERY_WORD = (
    *_EVERY_NAME, *_LABELS * 20, *arithmetic.PEOPLE, *arithmetic.THINGS,
    *(topic_ for talk in daily.TALKS.values() for topic_ in talk.topics),
)  # fmt: skip


def _label(names: list[str], rng: random.Random) -> tuple[str, dict[str, str]]:
    """Some names in one line with a letter each, and the letter of each."""
    labels = rng.sample(_LABELS, len(names))
    if rng.random() < 0.5:
        labels.sort()
    sign = rng.choice((*SIGNS, ""))
    label_of = dict(zip(names, labels, strict=True))
    listed = rng.choice(_BETWEEN).join(f"{label}{sign} {name}" for name, label in label_of.items())
    return listed, label_of


def _signs(rng: random.Random) -> str:
    """Up to three signs, at times with spaces between them."""
    return "".join(rng.choice(SIGNS) + rng.choice((" ", "")) for _ in range(rng.randint(0, 3)))


def _mention(fact: Fact, rng: random.Random) -> str:
    """Names an entity and what is to be told of it."""
    e, noun = fact.entity, NOUN[fact.relation]
    return rng.choice(
        (f"{e}의 {object_(noun)} 찾는다.", f"{e} 차례다. {noun}:", f"{e} 이야기를 한다. {object_(noun)} 적는다.",
         f"{object_(noun)} 적는다: {e}.", f"{subject(e)} 나온다. {noun} 이야기다.")
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
