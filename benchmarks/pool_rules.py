"""composer's filters as one would write them for a row at a time: what `pool.py` holds them against."""

from __future__ import annotations

import re

IMAGE = re.compile(r"<img\b[^>]*>|!\[[^\]]*\]\([^)]*\)|data:image/[a-z0-9.+-]+(?:;[a-z0-9=-]+)*,", re.I | re.S)
CONTROL = re.compile(r"[\x00-\x08\x0B\x0C\x0E-\x1F\x7F\x80-\x9F]")
BROKEN = re.compile("\ufffd|(?:[ê-í][\x80-\xbf]{2}){2}")
NOT_PROSE = re.compile(
    r"```.*?(?:```|$)|`[^`\n]*`|\$\$.*?\$\$|\\\[.*?\\\]|\\\(.*?\\\)|\\begin\{[^}]*\}.*?\\end\{[^}]*\}"
    r"|\$[^$\n]*\$|\\[A-Za-z]+", re.S,
)  # fmt: skip
HANGUL = re.compile("[가-힣ᄀ-ᇿㄱ-ㆎ]")
CUT = re.compile(r"(?:[,:;·(\[{]|\\)$")


def reason(row: dict[str, str]) -> dict[str, str]:
    """Why a row is rejected; nothing where it is kept."""
    return {"reason": _reason(row["prompt"], row["response"])}


def _reason(prompt: str, response: str) -> str:
    opened, closed = response.count("<think>"), response.count("</think>")
    if opened != 1 or closed != 1 or response.find("</think>") < response.find("<think>"):
        return "thinking"
    thinking, answer = response.split("<think>", 1)[1].split("</think>", 1)
    if not thinking.strip() or "<think>" in prompt or "</think>" in prompt:
        return "thinking"
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
