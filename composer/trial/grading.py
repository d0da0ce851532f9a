"""Grades of one item, as lm-eval's `process_results` wants them; the tasks under `eval/` name these functions.

An item (`doc`) says in `mode` whether it was asked with thinking (`think`) or without (`no_think`), and may say in
`part` which part of its benchmark it is. Beside `accuracy` each grade holds what a bare accuracy hides:
`unfinished` (the thinking never ended), `unanswered` (no answer was stated) and `in_mode` (it thought as it was asked
to, or not). An answer is wrong where the thinking never ended, and where it thinks though asked not to.
"""

from __future__ import annotations

import math
from typing import Any

from composer.answers.equality import same_answer
from composer.answers.replies import Reply, read, stated_answer, stated_letter


def choice(doc: dict[str, Any], results: list[str]) -> dict[str, float]:
    """Grades multiple choice: `doc` holds `options` (their words) and `answer` (a letter)."""
    reply = read(results[0])
    letter = stated_letter(reply.answer, doc["options"])
    return grades(doc, reply, letter is not None, letter == doc["answer"])


def mathematics(doc: dict[str, Any], results: list[str]) -> dict[str, float]:
    """Grades a problem whose `answer` is a number, a formula or words, by `same_answer`."""
    reply = read(results[0])
    stated = stated_answer(reply.answer)
    return grades(doc, reply, stated is not None, stated is not None and same_answer(stated, doc["answer"]))


def bits_per_byte(doc: dict[str, Any], results: list[tuple[float, bool]]) -> dict[str, float]:
    """Bits per byte of `doc["response"]`, the reference, under the model; lower is better."""
    log_likelihood, _ = results[0]
    return {"bits_per_byte": -log_likelihood / math.log(2) / len(doc["response"].encode())}


def grades(doc: dict[str, Any], reply: Reply, answered: bool, right: bool) -> dict[str, float]:
    """The grades of a reply that stated an answer or not, and the right one or not; each is 0 or 1."""
    asked_to_think = doc["mode"] == "think"
    in_mode = reply.finished and reply.thinks == asked_to_think
    accuracy = float(right and reply.finished and (in_mode or asked_to_think))
    of_part = {f"accuracy_{doc['part']}": accuracy} if doc.get("part") else {}
    return {
        "accuracy": accuracy,
        **of_part,
        "unfinished": float(not reply.finished),
        "unanswered": float(not answered),
        "in_mode": float(in_mode),
    }
