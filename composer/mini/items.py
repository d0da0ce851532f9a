"""The mini benchmarks' items: held-out facts, held-out problems, small talk on held-out topics.

lm-eval's task files under `eval/mini/` call these functions; each gives one dataset with the split `test`, its columns
`question`, `answer` (what the extracted answer must equal) and `response` (the reference, for the smooth score).
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from composer.mini import arithmetic, daily, facts, mcqa
from composer.mini.modes import SWITCH

if TYPE_CHECKING:
    from datasets import Dataset

ARITHMETIC_ITEMS = 240
DAILY_ITEMS = 200


def kmmlu_redux(**_: Any) -> dict[str, Dataset]:
    """Multiple choice on held-out countries' currencies and languages, standing for KMMLU-Redux."""
    return _split(_questions(("currency", "language")))


def haerae(**_: Any) -> dict[str, Dataset]:
    """Multiple choice on held-out countries' continents and held-out cities' countries, standing for HAE-RAE Bench."""
    return _split(_questions(("continent", "city")))


def mclm_ko(**_: Any) -> dict[str, Dataset]:
    """Held-out word problems, standing for MCLM-ko."""
    return _split(_word_problems())


def kmmlu_redux_no_think(**_: Any) -> dict[str, Dataset]:
    """The items of `kmmlu_redux`, asked to be answered without thinking."""
    return _split([_switched(one) for one in _questions(("currency", "language"))])


def mclm_ko_no_think(**_: Any) -> dict[str, Dataset]:
    """The items of `mclm_ko`, asked to be answered without thinking."""
    return _split([_switched(one) for one in _word_problems()])


def daily_talk(**_: Any) -> dict[str, Dataset]:
    """Remarks on held-out topics; a fitting reply names the topic and holds the word its kind of talk asks for."""
    rng = random.Random("mini benchmark daily")
    chats: list[daily.Chat] = []
    while len(chats) < DAILY_ITEMS:
        chat = daily.draw_chat(rng)
        if chat.held_out:
            chats.append(chat)
    return _split(
        [{"question": c.remark, "answer": c.topic, "key": c.key, "response": c.reply, "kind": c.kind} for c in chats]
    )


def _word_problems() -> list[dict[str, str]]:
    rng = random.Random("mini benchmark arithmetic")
    problems: list[arithmetic.Problem] = []
    while len(problems) < ARITHMETIC_ITEMS:
        problem = arithmetic.draw_problem(rng)
        if problem.held_out:
            problems.append(problem)
    return [
        {
            "question": p.question,
            "answer": str(p.answer),
            "response": arithmetic.openthought(p)[1],
            "kind": p.stratum,
        }
        for p in problems
    ]


def _switched(item: dict[str, str]) -> dict[str, str]:
    """The item with the switch after its question; the response is what a row says that does not think."""
    return {**item, "question": item["question"] + SWITCH, "response": item["response"].rsplit("</think>", 1)[-1]}


def _questions(relations: Sequence[facts.Relation]) -> list[dict[str, str]]:
    rng = random.Random("mini benchmark " + " ".join(relations))
    questions = [
        mcqa.draw_question(fact, rng) for relation in relations for fact in facts.facts_of(relation, "heldout")
    ]
    return [
        {"question": q.prompt, "answer": q.answer, "response": q.response, "kind": q.fact.relation} for q in questions
    ]


def _split(items: list[dict[str, str]]) -> dict[str, Dataset]:
    from datasets import Dataset

    return {"test": Dataset.from_list(items)}
