"""Korean particles, which depend on whether the word before them ends in a consonant."""

from __future__ import annotations

_FIRST, _LAST, _FINALS = 0xAC00, 0xD7A3, 28
_DIGIT_ENDS_IN_CONSONANT = {"0": True, "1": True, "3": True, "6": True, "7": True, "8": True}
_LETTER_ENDS_IN_CONSONANT = {"L": True, "M": True, "N": True, "R": True}


def ends_in_consonant(word: str) -> bool:
    """Whether the last syllable of `word`, as it is read aloud in Korean, closes with a consonant."""
    last = word[-1]
    code = ord(last)
    if _FIRST <= code <= _LAST:
        return (code - _FIRST) % _FINALS != 0
    return _DIGIT_ENDS_IN_CONSONANT.get(last, False) or _LETTER_ENDS_IN_CONSONANT.get(last, False)


def topic(word: str) -> str:
    """`word` with its topic particle 은 or 는."""
    return word + ("은" if ends_in_consonant(word) else "는")


def subject(word: str) -> str:
    """`word` with its subject particle 이 or 가."""
    return word + ("이" if ends_in_consonant(word) else "가")


def object_(word: str) -> str:
    """`word` with its object particle 을 or 를."""
    return word + ("을" if ends_in_consonant(word) else "를")


def copula(word: str) -> str:
    """`word` with the plain copula 이다 or 다."""
    return word + ("이다" if ends_in_consonant(word) else "다")
