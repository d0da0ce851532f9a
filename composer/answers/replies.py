r"""What a reply says: its thinking, its answer, and the final answer that it states.

The tasks under `eval/` ask for a form ("the last line is 정답: and the letter", "the answer in \boxed{}"), but models
keep to it loosely, so all usual forms in Korean and English are read. Nothing is guessed: a reply that states no
answer has none.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

OPEN, CLOSE = "<think>", "</think>"
LETTERS = "ABCDE"

_STATES = r"(?:최종\s*)?(?:정답|답변|답안|답)|(?:final\s+)?answer"  # what announces a final answer
# "정답: …", "**Answer:** …", "### 정답\n…": the answer is the rest of the line, or the next one that is not empty.
_STATED = re.compile(
    rf"^[\s>#*_\-]*(?:{_STATES})[\s*_]*(?:[:：][\s*_]*|\n\s*|\s*$)(?P<value>[^\n]*)", re.IGNORECASE | re.MULTILINE
)
# "따라서 정답은 12입니다.", "the answer is 12."
_SAID = re.compile(rf"(?:{_STATES})\s*(?:은|는|이|:|：|is)\s*:?\s*(?P<value>[^\n]*)", re.IGNORECASE)
_ANNOUNCED = re.compile(rf"^(?:[>#*_\s]*(?:{_STATES})[\s*_]*[:：])+", re.IGNORECASE)  # "### 정답" above "정답: 3"
_FENCE = re.compile(r"```[a-z]*\n(?P<value>.*?)```", re.DOTALL)
_ENDING = re.compile(r"\s*(?:입니다|이다|이에요|예요|이고|다)?\s*[.。]?\s*$")
_LATEX = re.compile(r"\\(?:text|textbf|mathbf|mathrm|mathit|boldsymbol|mbox)\s*\{([^{}]*)\}")
_CIRCLED = str.maketrans("①②③④⑤", LETTERS)

_LETTER = r"[(\[（<]?\s*([A-E①-⑤])(?![A-Za-z0-9])\s*[)\]）>]?"
_CHOICE_STATED = re.compile(rf"(?i:{_STATES})[\s*_]*(?:은|는|이|:|：|is)?[\s*_:：]*{_LETTER}(?=(?P<rest>[^\n]*))")
_CHOICE_ALONE = re.compile(rf"^[\s*_#>]*{_LETTER}[\s*_]*(?:[.:)].*|번|입니다\.?)?\s*$")
_DENIED = re.compile(r"^[\s*_]*(?:가|이|은|는|번이|번은)?\s*(?:아니|아닙|틀|오답|not\b)")
_SHARED = re.compile(rf"^[\s*_]*(?:,|/|와|과|및|또는|혹은|이나|나|or\b|and\b)\s*[*_]*{_LETTER}")


@dataclass(frozen=True, slots=True)
class Reply:
    """A generated text, taken apart.

    Attributes:
        thinking: What stands between the think marks, or nothing.
        answer: What is said after the thinking; nothing where the thinking never ends.
        finished: Whether thinking that began also ended.
    """

    thinking: str
    answer: str
    finished: bool

    @property
    def thinks(self) -> bool:
        """Whether there is any thinking: empty think marks are how some models say that there is none."""
        return bool(self.thinking.strip())


def read(text: str) -> Reply:
    """Takes a reply apart at its last think end; thinking whose beginning stands in the prompt has only an end."""
    if CLOSE in text:
        thinking, answer = text.rsplit(CLOSE, 1)
        return Reply(thinking.replace(OPEN, "", 1).strip(), answer.strip(), True)
    if OPEN in text:
        return Reply(text.split(OPEN, 1)[1].strip(), "", False)
    return Reply("", text.strip(), True)


def stated_answer(answer: str) -> str | None:
    r"""The final answer that a text states, as written but for markup around it, or None.

    The last of: a line that begins "정답:" or "Answer:"; the last `\boxed{…}`, whichever comes later; failing these,
    a sentence such as "정답은 12입니다"; a last code block; or the whole text, where it is one line.
    """
    stated = [(match.start(), match["value"]) for match in _STATED.finditer(answer) if _clean(match["value"])]
    stated += boxes(answer)
    if stated:
        return _clean(max(stated)[1])
    for pattern in (_SAID, _FENCE):
        if found := [value for match in pattern.finditer(answer) if (value := _clean(match["value"]))]:
            return found[-1]
    whole = answer.strip()
    return _clean(whole) or None if "\n" not in whole and "\\boxed" not in whole else None


def boxes(text: str) -> list[tuple[int, str]]:
    r"""Where each `\boxed{…}` begins and what it holds, braces balanced; one that never closes is left out."""
    found = []
    for match in re.finditer(r"\\(?:boxed|fbox)\s*\{", text):
        depth, place = 1, match.end()
        while place < len(text) and depth:
            depth += {"{": 1, "}": -1}.get(text[place], 0) if text[place - 1] != "\\" else 0
            place += 1
        if not depth and text[match.end() : place - 1].strip():
            found.append((match.start(), text[match.end() : place - 1]))
    return found


def stated_letter(answer: str, options: Sequence[str] = ()) -> str | None:
    r"""The letter A to E that a text states as its choice, or None where it states none, or two at once.

    Read are "정답: B", "정답은 (B)입니다", "Answer: **B**", `\boxed{B}`, circled numbers (② is B), a line that is the
    letter alone, and, where `options` are given, the words of exactly one option in place of its letter.
    """
    text = _plain(answer)
    found: list[tuple[int, str | None]] = [
        (match.start(), None if _SHARED.match(match["rest"]) else match[1])
        for match in _CHOICE_STATED.finditer(text)
        if not _DENIED.match(match["rest"])
    ]
    found += [(place, match[1]) for place, held in boxes(text) if (match := _CHOICE_ALONE.match(held))]
    if found:
        letter = max(found, key=lambda one: one[0])[1]
        return None if letter is None else _as_letter(letter)
    if option := _named_option(answer, options):
        return option
    lines = [line for line in text.splitlines() if line.strip()]
    match = _CHOICE_ALONE.match(lines[-1]) if lines else None
    return _as_letter(match[1]) if match else None


def _named_option(answer: str, options: Sequence[str]) -> str | None:
    stated = stated_answer(answer)
    if stated is None:
        return None
    same = [letter for letter, option in zip(LETTERS, options, strict=False) if _bare(option) == _bare(stated)]
    return same[0] if len(same) == 1 else None


def _as_letter(text: str) -> str:
    return text.upper().translate(_CIRCLED)


def _bare(text: str) -> str:
    return re.sub(r"\s+", "", _clean(text)).casefold()


def _plain(text: str) -> str:
    """The text without LaTeX's font commands and dollar signs."""
    return _LATEX.sub(r"\1", text).replace("$", "")


def _clean(text: str) -> str:
    """A stated value without the markup, the sentence ending and the brackets of LaTeX around it."""
    text = _ANNOUNCED.sub("", text.strip().strip("`")).strip("*_` ").strip()
    if boxed := boxes(text):
        text = boxed[-1][1].strip()
    text = _ENDING.sub("", text).strip().strip("*_` ")
    for opening, closing in (("\\(", "\\)"), ("\\[", "\\]"), ("$$", "$$"), ("$", "$")):
        if text.startswith(opening) and text.endswith(closing) and len(text) > len(opening) + len(closing):
            text = text[len(opening) : -len(closing)].strip()
    return text
