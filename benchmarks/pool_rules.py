"""composer's filters as one would write them for a row at a time: what `pool.py` holds them against."""

from __future__ import annotations

import re
from typing import Any

IMAGE = re.compile(r"<img\b[^>]*>|!\[[^\]]*\]\([^)]*\)|data:image/[a-z0-9.+-]+(?:;[a-z0-9=-]+)*,", re.I | re.S)
CONTROL = re.compile(r"[\x00-\x08\x0B\x0C\x0E-\x1F\x7F\x80-\x9F]")
BROKEN = re.compile("\ufffd|(?:[ê-í][\x80-\xbf]{2}){2}")
NOT_PROSE = re.compile(
    r"```.*?(?:```|$)|`[^`\n]*`|\$\$.*?\$\$|\\\[.*?\\\]|\\\(.*?\\\)|\\begin\{[^}]*\}.*?\\end\{[^}]*\}"
    r"|\$[^$\n]*\$|\\[A-Za-z]+", re.S,
)  # fmt: skip
HANGUL = re.compile("[가-힣ᄀ-ᇿㄱ-ㆎ]")
CUT = re.compile(r"(?:[,:;·(\[{]|\\)$")


def reason(row: dict[str, Any]) -> dict[str, str]:
    """Why a row of two turns is rejected; nothing where it is kept."""
    prompt, response = (turn["content"] for turn in row["messages"])
    return {"reason": _reason(prompt, response)}


def _reason(prompt: str, response: str) -> str:
    if not _thinks(prompt, response):
        return "thinking"
    answer = response.split("</think>", 1)[1]
    prose = NOT_PROSE.sub(" ", answer)
    if not any(HANGUL.search(word) for word in prose.split()):
        return "korean"
    for text in (prompt, response):
        if IMAGE.search(text):
            return "image"
        if CONTROL.search(text) or BROKEN.search(text):
            return "encoding"
    answer = answer.strip()
    if not answer or CUT.search(answer) or answer.count("```") % 2:
        return "answer"
    return ""


def _thinks(prompt: str, response: str) -> bool:
    opened, closed = response.count("<think>"), response.count("</think>")
    if opened != 1 or closed != 1 or response.find("</think>") < response.find("<think>"):
        return False
    thinking = response.split("<think>", 1)[1].split("</think>", 1)[0]
    return bool(thinking.strip()) and "<think>" not in prompt and "</think>" not in prompt


def thinks(document: Any) -> bool:
    """As the rules have it, of a document whose text is the response."""
    return _thinks(document.metadata["prompt"], document.text)


def speaks(document: Any) -> bool:
    """Korean in the answer."""
    prose = NOT_PROSE.sub(" ", document.text.rpartition("</think>")[2])
    return any(HANGUL.search(word) for word in prose.split())


def answers(document: Any) -> bool:
    """An answer that is there and whole."""
    answer = document.text.rpartition("</think>")[2].strip()
    return bool(answer) and not CUT.search(answer) and answer.count("```") % 2 == 0
