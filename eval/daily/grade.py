"""Grades a reply to a question of daily life by rules that need no judge.

A reply passes (`accuracy`) when it passes every rule; each rule is a metric too, so that one sees which of them fails.
The rules find replies that nobody would want. They do not tell a good reply from a fair one.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from composer.answers.replies import read

PARAPHRASES = 3  # prompts of a group; they follow one another
LONGEST_ANSWER = 1000  # characters
LONGEST_THINKING = 2000  # characters: more is runaway thinking about when to water a plant
LEAST_KOREAN = 0.7  # share of Hangul among the letters
MOST_REPEATED = 0.3  # share of windows of `WINDOW` characters that stood in the answer before
WINDOW = 12
LONGEST_RUN = 10  # times one character in a row
MOST_COPIED = 0.5  # share of the answer that is one piece of the prompt
MOST_OTHERS = 12  # other groups whose key words an answer may hold: more is a list of words for every question

_HANGUL = re.compile(r"[가-힣]")
_RUN = re.compile(rf"([^\W\d_])\1{{{LONGEST_RUN - 1},}}")
_REFUSAL = re.compile(
    r"(?:답|대답|답변|도와|돕|알려|제공|말씀)\S*\s*(?:드릴|드리기|할|줄|하기|해드릴)?\s*(?:수(?:가|는)?\s*없|어렵)"
)
_SWITCH = re.compile(r"\s*/no_think\s*$")


def fitting(doc: dict[str, Any], results: list[str]) -> dict[str, float]:
    """The grades of a reply, each 0 or 1; `consistent` is `accuracy` again, to be aggregated by groups."""
    reply = read(results[0])
    answer, prompt = reply.answer, _SWITCH.sub("", doc["question"])
    rules = {
        "answered": bool(answer) and not _REFUSAL.search(answer),
        "in_mode": reply.finished and reply.thinks == (doc["mode"] == "think"),
        "brief_thinking": reply.finished and len(reply.thinking) <= LONGEST_THINKING,
        "korean": korean(answer),
        "in_length": 0 < len(answer) <= LONGEST_ANSWER,
        "varied": varied(answer),
        "own_words": own_words(answer, prompt),
        "relevant": relevant(answer, prompt, doc["group"]),
    }
    passed = float(all(rules.values()))
    return {
        "accuracy": passed,
        "consistent": passed,
        "unfinished": float(not reply.finished),
        **{name: float(kept) for name, kept in rules.items()},
    }


def whole_groups(passed: Sequence[float]) -> float:
    """The share of groups whose every paraphrase passed; `passed` is in the items' order."""
    groups = [passed[at : at + PARAPHRASES] for at in range(0, len(passed), PARAPHRASES)]
    return sum(all(group) for group in groups) / len(groups) if groups else 0.0


def korean(answer: str) -> bool:
    """Whether the answer is in Korean, names and units in other letters allowed."""
    letters = [sign for sign in answer if sign.isalpha()]
    hangul = len(_HANGUL.findall(answer))
    return hangul > 0 and hangul >= LEAST_KOREAN * len(letters)


def varied(answer: str) -> bool:
    """Whether the answer does not go round in circles."""
    text = _squeezed(answer)
    windows = [text[at : at + WINDOW] for at in range(len(text) - WINDOW + 1)]
    repeated = (len(windows) - len(set(windows))) / len(windows) if windows else 0.0
    return repeated <= MOST_REPEATED and not _RUN.search(answer)


def own_words(answer: str, prompt: str) -> bool:
    """Whether the answer is more than a piece of the prompt."""
    said, asked = _squeezed(answer), _squeezed(prompt)
    piece = int(MOST_COPIED * len(said)) + 1
    return bool(said) and not any(said[at : at + piece] in asked for at in range(len(said) - piece + 1))


def relevant(answer: str, prompt: str, group: str) -> bool:
    """Whether the answer, the prompt taken out of it, holds a key word of its group, and not those of many others."""
    held = _groups_named(_squeezed(answer).replace(_squeezed(prompt), " "))
    return group in held and len(held) - 1 <= MOST_OTHERS


@functools.lru_cache(maxsize=16)
def _groups_named(text: str) -> frozenset[str]:
    return frozenset(name for name, keys in _keys().items() if any(key in text for key in keys))


@functools.cache
def _keys() -> dict[str, list[str]]:
    lines = Path(__file__).with_name("prompts.jsonl").read_text(encoding="utf-8").splitlines()
    return {group["group"]: group["keys"] for group in map(json.loads, lines)}


def _squeezed(text: str) -> str:
    """The text without spaces, which writers of Korean set as they like."""
    return re.sub(r"\s+", "", text)
