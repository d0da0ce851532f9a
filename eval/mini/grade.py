"""Grades the mini benchmarks: what the model answered, and how many bits a byte of the reference response costs it."""

from __future__ import annotations

import math
import re
from typing import Any

_LETTER = re.compile(r"정답은 ([A-D])")
_NUMBER = re.compile(r"답은 (\d+)")


def spoken(text: str) -> str:
    """What a response says after its thinking; nothing where the thinking does not end."""
    if "<think>" in text and "</think>" not in text:
        return ""
    return text.rsplit("</think>", 1)[-1]


def letter(doc: dict[str, Any], results: list[str]) -> dict[str, float]:
    """Accuracy of a multiple-choice answer: the letter that the response states."""
    return {"accuracy": float(_LETTER.findall(spoken(results[0]))[-1:] == [doc["answer"]])}


def number(doc: dict[str, Any], results: list[str]) -> dict[str, float]:
    """Accuracy of a word problem: the number that the response states."""
    return {"accuracy": float(_NUMBER.findall(spoken(results[0]))[-1:] == [doc["answer"]])}


def letter_at_once(doc: dict[str, Any], results: list[str]) -> dict[str, float]:
    """As `letter`, of an answer that was asked to come without thinking: one that thinks is wrong."""
    return _at_once(letter(doc, results), results)


def number_at_once(doc: dict[str, Any], results: list[str]) -> dict[str, float]:
    """As `number`, of an answer that was asked to come without thinking: one that thinks is wrong."""
    return _at_once(number(doc, results), results)


def _at_once(graded: dict[str, float], results: list[str]) -> dict[str, float]:
    return {"accuracy": graded["accuracy"] * ("<think>" not in results[0])}


def fitting(doc: dict[str, Any], results: list[str]) -> dict[str, float]:
    """Accuracy of small talk: a reply without thinking that names the topic and suits its kind of talk."""
    reply = results[0]
    return {"accuracy": float("<think>" not in reply and doc["answer"] in reply and doc["key"] in reply)}


def bits_per_byte(doc: dict[str, Any], results: list[tuple[float, bool]]) -> dict[str, float]:
    """Bits per byte of the reference response, thinking and answer, under the model; lower is better."""
    log_likelihood, _ = results[0]
    return {"bits_per_byte": -log_likelihood / math.log(2) / len(doc["response"].encode())}
