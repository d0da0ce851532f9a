"""Counts letters by script in columns of text, on their UTF-8 bytes, a column at a time."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Counts = NDArray[np.int64]

# What is not prose: code in fences or backquotes, and LaTeX in its four kinds of brackets or in environments.
PROSE_ENDS = "`$\\"
NOT_PROSE = (
    r"(?s)```.*?(?:```|$)|`[^`\n]*`|\$\$.*?\$\$|\\\[.*?\\\]|\\\(.*?\\\)|\\begin\{[^}]*\}.*?\\end\{[^}]*\}"
    r"|\$[^$\n]*\$|\\[A-Za-z]+"
)


class Letters:
    """Of n texts, which are valid UTF-8; each count is made when it is asked for."""

    def __init__(self, texts: pa.StringArray) -> None:
        """Of texts (n,)."""
        data, self._ends = utf8(texts)
        self._first, self._second = (data[:-1], data[1:]) if len(data) else (data, data)

    @cached_property
    def hangul(self) -> Counts:
        """(n,) syllables and letters of Hangul."""
        return np.bincount(self._row, minlength=len(self._ends))

    @cached_property
    def latin(self) -> Counts:
        """(n,) ASCII letters."""
        lower = self._first | 0x20
        return _sums((lower >= ord("a")) & (lower <= ord("z")), self._ends)

    @cached_property
    def others(self) -> Counts:
        """(n,) letters of any other script."""
        first, second = self._first, self._second
        # Neither general punctuation and symbols (U+2000 to U+2FFF), nor those of CJK, nor pictures (four bytes).
        some = (first >= 0xC3) & (first < 0xF0) & (first != 0xE2) & ~((first == 0xE3) & (second == 0x80))
        some &= ~((first == 0xEF) & (second >= 0xB8))
        some[self._places] = False
        return _sums(some, self._ends)

    @cached_property
    def hangul_words(self) -> Counts:
        """(n,) words, between white space, that hold Hangul."""
        breaks = np.cumsum((self._first == 0x20) | ((self._first >= 0x09) & (self._first <= 0x0D)), dtype=np.int32)
        word, row = breaks[self._places], self._row
        begins = np.ones(len(row), dtype=bool)
        begins[1:] = (word[1:] != word[:-1]) | (row[1:] != row[:-1])
        return np.bincount(row[begins], minlength=len(self._ends))

    @property
    def hangul_share(self) -> NDArray[np.float64]:
        """(n,) Hangul among all letters; 0 where there is no letter."""
        share: NDArray[np.float64] = self.hangul / np.maximum(self.hangul + self.latin + self.others, 1)
        return share

    @cached_property
    def _places(self) -> Counts:
        """Where Hangul begins: syllables U+AC00 to U+D7A3, letters U+1100 to U+11FF and U+3130 to U+318F."""
        places = np.flatnonzero(self._first >= 0xE1)
        first, second = self._first[places], self._second[places]
        hangul = (first == 0xEA) & (second >= 0xB0) & (second < 0xC0)
        hangul |= (first == 0xEB) | (first == 0xEC) | ((first == 0xED) & (second <= 0x9E))
        hangul |= (first == 0xE1) & (second >= 0x84) & (second <= 0x87)
        hangul |= (first == 0xE3) & (second >= 0x84) & (second <= 0x86)
        found: Counts = places[hangul]
        return found

    @cached_property
    def _row(self) -> Counts:
        """The text that each of `_places` is in."""
        within = np.diff(np.searchsorted(self._places, self._ends), prepend=0)
        return np.repeat(np.arange(len(self._ends)), within)


def prose(texts: pa.StringArray) -> pa.StringArray:
    """(n,) texts without code and LaTeX."""
    marked = pc.match_substring_regex(texts, f"[{PROSE_ENDS}]".replace("\\", "\\\\"))
    if not pc.any(marked).as_py():
        return texts
    return pc.replace_with_mask(texts, marked, pc.replace_substring_regex(texts.filter(marked), NOT_PROSE, " "))


def utf8(texts: pa.StringArray) -> tuple[NDArray[np.uint8], Counts]:
    """The bytes of texts (n,) one after the other, with one zero byte behind them, and where each ends."""
    if isinstance(texts, pa.ChunkedArray):
        texts = texts.combine_chunks()
    wide = texts.type == pa.large_string()
    _, offsets, data = texts.buffers()
    starts = np.frombuffer(offsets, dtype=np.int64 if wide else np.int32)[texts.offset : texts.offset + len(texts) + 1]
    whole = np.frombuffer(data, dtype=np.uint8) if data is not None else np.zeros(0, np.uint8)
    part = whole[starts[0] : starts[-1]] if len(texts) else whole[:0]
    return np.append(part, np.uint8(0)), (starts[1:] - starts[0]).astype(np.int64)


def _sums(some: NDArray[np.bool_], ends: Counts) -> Counts:
    """(n,) how often something holds within each text."""
    before = np.concatenate([[0], np.cumsum(some)])
    within: Counts = np.diff(before[np.concatenate([[0], ends])])
    return within
