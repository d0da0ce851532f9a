"""Whether two final answers are the same: as text, as numbers, as written structures, or as mathematics.

Mathematics is compared by math-verify (Hugging Face, Apache-2.0), which stops a long computation by an alarm signal.
That works in a main thread only, and never inside a long computation in C, so a child process does the comparing:
it is ended when it takes too long, or more memory than it may, and such answers count as different.
"""

from __future__ import annotations

import ast
import atexit
import contextlib
import json
import os
import re
import select
import subprocess
import sys
import threading
from fractions import Fraction
from typing import Any

SECONDS = 10.0  # for one comparison; a child's start comes on top
START_SECONDS = 120.0
MEMORY = 8 << 30  # bytes of address space of the child
LONGEST = 400  # characters; nothing longer is a formula or a number that somebody stated as an answer

_NUMBER = re.compile(r"(?P<number>[+-]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?)\s*(?P<unit>%|°|[가-힣]{0,4})")
_SPACES = re.compile(r"\\[,;:! ]|\s+|~")
_HANGUL = re.compile(r"[가-힣]")
_FORMULA = re.compile(r"[\\^+*/=(),<>|{}\[\]-]")  # what tells a formula from words, codes and rows of digits


def same_answer(answer: str, gold: str) -> bool:
    """Whether `answer` says what `gold` says.

    Text is compared without spaces, case and LaTeX's font commands; numbers by value, a unit after one of them left out
    (204 is 204개); mappings by what they hold; formulas without Hangul as mathematics. To math-verify letters side by
    side are a product, so that ABC would be CAB: what has no sign of a formula is text.
    """
    answer, gold = normal(answer), normal(gold)
    if answer == gold:
        return True
    one, other = _number(answer), _number(gold)
    if one and other:
        return one[0] == other[0] and (one[1] == other[1] or not (one[1] and other[1]))
    if (held := _structure(gold)) is not None:
        return bool(_structure(answer) == held)
    if _HANGUL.search(answer + gold) or not _FORMULA.search(answer + gold) or max(len(answer), len(gold)) > LONGEST:
        return False
    return _checker.same(answer, gold)


def normal(text: str) -> str:
    """An answer in one way of writing: no spaces or LaTeX fonts, lower case, plain signs."""
    text = text.strip().replace("−", "-").replace("，", ",").replace("\\left", "").replace("\\right", "")
    text = re.sub(r"\\(?:text|textbf|mathbf|mathrm|mbox)\s*\{([^{}]*)\}", r"\1", text)
    text = text.replace("\\dfrac", "\\frac").replace("\\tfrac", "\\frac").replace("\\%", "%").strip("$")
    # Digits in groups are one number; other spaces only part what stands beside them.
    text = re.sub(r"(?<=\d)(?:\\[,;! ]|\{,\})(?=\d{3}(?!\d))", "", text)
    text = _SPACES.sub(" ", text).strip()
    return re.sub(r"(?<![\w]) | (?![\w])", "", text).rstrip(".").casefold()


def _number(text: str) -> tuple[Fraction, str] | None:
    # Models repeat digits without end, and Python refuses to read thousands of them.
    match = _NUMBER.fullmatch(text) if len(text) <= LONGEST else None
    return (Fraction(match["number"].replace(",", "")), match["unit"].replace("%", "")) if match else None


def _structure(text: str) -> Any:
    """A mapping that the text writes out, in JSON or as Python writes it, or None."""
    begin, end = text.find("{"), text.rfind("}")
    if begin < 0 or ":" not in text or end < begin:
        return None
    with contextlib.suppress(ValueError):
        return json.loads(text[begin : end + 1])
    with contextlib.suppress(ValueError, SyntaxError, MemoryError, RecursionError):
        literal = re.sub(r"\btrue\b", "True", re.sub(r"\bfalse\b", "False", text[begin : end + 1]))
        return ast.literal_eval(literal)
    return None


class _Checker:
    """The child process that knows mathematics; started at the first question, and again after each that hung it."""

    def __init__(self) -> None:
        self.child: subprocess.Popen[bytes] | None = None
        self.owner = 0
        self.lock = threading.Lock()

    def same(self, answer: str, gold: str) -> bool:
        with self.lock:
            child = self._started()
            if child.stdin is None or child.stdout is None:
                return False
            try:
                child.stdin.write(json.dumps([answer, gold]).encode() + b"\n")
                child.stdin.flush()
                if select.select([child.stdout], [], [], SECONDS)[0] and (line := child.stdout.readline()):
                    return bool(json.loads(line))
            except OSError:
                pass
            self._end()
            return False

    def _started(self) -> subprocess.Popen[bytes]:
        if self.child is not None and self.owner == os.getpid() and self.child.poll() is None:
            return self.child
        self.child = subprocess.Popen(
            [sys.executable, "-m", "composer.answers.equality"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self.owner = os.getpid()
        if self.child.stdout is not None and select.select([self.child.stdout], [], [], START_SECONDS)[0]:
            self.child.stdout.readline()  # it says when it is ready
        return self.child

    def _end(self) -> None:
        if self.child is not None and self.owner == os.getpid():
            self.child.kill()
            self.child.wait()
            for pipe in (self.child.stdin, self.child.stdout):
                if pipe is not None:
                    with contextlib.suppress(OSError):
                        pipe.close()
        self.child = None


_checker = _Checker()
atexit.register(_checker._end)


def _serve() -> None:
    """The child: reads `[answer, gold]` as JSON a line, writes `true` or `false` a line, ends when its input does."""
    import logging
    import resource

    from math_verify import LatexExtractionConfig, parse, verify

    logging.disable(logging.CRITICAL)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    print("true", flush=True)
    for line in sys.stdin:
        same = False
        with contextlib.suppress(Exception):
            answer, gold = (
                parse(f"\\boxed{{{text}}}", [LatexExtractionConfig()], parsing_timeout=None)
                for text in json.loads(line)
            )
            same = bool(answer and gold and verify(gold, answer, timeout_seconds=None))
        print(json.dumps(same), flush=True)


if __name__ == "__main__":
    _serve()
