"""Responses that do not end on the answer that is known to be right."""

from __future__ import annotations

import re

import numpy as np

from composer.answers.equality import same_answer
from composer.answers.replies import stated_answer
from composer.pool.filters.batch import Batch
from composer.pool.filters.lengths import column_of
from composer.pool.filters.rules import Reasons, rule

MARK = "####"  # before the answer, in GSM8K's answers
NUMBER = re.compile(r"(?:(?<=[=\s(:])-)?(?<![\w.])(?:\d{1,3}(?:,\d{3})+|\d+)?(?:\.\d+|(?<=\d))(?:/\d+)?")
# Numbers that are none of an answer: a remark in brackets at the end, the power of a unit, a kind of coin or note.
REMARK = re.compile(r"\s*\([^()]*\)\s*[.。]?\s*$")
POWER = re.compile(r"(?<=[A-Za-z}])\^\{?\d\}?")
KIND = re.compile(r"\d[\d,.]*\s?[가-힣]{0,3}짜리")


@rule("gold_answer")
def gold_answer(batch: Batch, *, column: str = "gold") -> Reasons:
    """A response that ends on the right answer, in `column`: states it, or has it for its last number.

    Rows without a right answer are kept. Of a text with `####`, as GSM8K has, what follows is the answer.
    """
    wrong = np.zeros(len(batch), dtype=bool)
    gold, answers = column_of(batch, column).to_pylist(), batch.answer.to_pylist()
    for row, (right, answer) in enumerate(zip(gold, answers, strict=True)):
        right = (right or "").rpartition(MARK)[2].strip()
        wrong[row] = bool(right) and not ends_on(answer, right)
    return {"another answer": wrong}


def ends_on(answer: str, right: str) -> bool:
    """Whether an answer states `right`, or has it for its last number where it states nothing."""
    stated = stated_answer(answer)
    if stated is not None and same_answer(stated, right):
        return True
    text = KIND.sub("", POWER.sub("", REMARK.sub("", answer)))
    numbers = NUMBER.findall(text)
    return bool(numbers) and same_answer(numbers[-1], right)
