"""Counts letters by script in columns of text, on their UTF-8 bytes, a column at a time."""

from __future__ import annotations

from dataclasses import dataclass

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


@dataclass(frozen=True, eq=False)
class Letters:
    """Of n texts.

    Attributes:
        hangul: (n,) syllables and letters of Hangul.
        latin: (n,) ASCII letters.
        others: (n,) letters of any other script.
        hangul_words: (n,) words, between white space, that hold Hangul.
    """

    hangul: Counts
    latin: Counts
    others: Counts
    hangul_words: Counts

    @property
    def hangul_share(self) -> NDArray[np.float64]:
        """(n,) Hangul among all letters; 0 where there is no letter."""
        share: NDArray[np.float64] = self.hangul / np.maximum(self.hangul + self.latin + self.others, 1)
        return share


def prose(texts: pa.StringArray) -> pa.StringArray:
    """(n,) texts without code and LaTeX."""
    marked = pc.match_substring_regex(texts, f"[{PROSE_ENDS}]".replace("\\", "\\\\"))
    if not pc.any(marked).as_py():
        return texts
    return pc.replace_with_mask(texts, marked, pc.replace_substring_regex(texts.filter(marked), NOT_PROSE, " "))


def letters(texts: pa.StringArray) -> Letters:
    """Counts the letters of texts (n,), which are valid UTF-8."""
    data, ends = utf8(texts)
    first = data[:-1] if len(data) else data
    second = data[1:] if len(data) else data
    # Syllables are U+AC00 to U+D7A3, letters by themselves U+1100 to U+11FF and U+3130 to U+318F.
    hangul = (first == 0xEA) & (second >= 0xB0) & (second < 0xC0)
    hangul |= (first == 0xEB) | (first == 0xEC) | ((first == 0xED) & (second <= 0x9E))
    hangul |= (first == 0xE1) & (second >= 0x84) & (second <= 0x87)
    hangul |= (first == 0xE3) & (second >= 0x84) & (second <= 0x86)
    latin = ((first | 0x20) >= ord("a")) & ((first | 0x20) <= ord("z"))
    # Neither general punctuation and symbols (U+2000 to U+2FFF), nor those of CJK, nor pictures (four bytes).
    others = (first >= 0xC3) & (first < 0xF0) & (first != 0xE2) & ~((first == 0xE3) & (second == 0x80)) & ~hangul
    others &= ~((first == 0xEF) & (second >= 0xB8))
    places = np.flatnonzero(hangul)
    row = np.searchsorted(ends, places, side="right")
    breaks = np.cumsum((first == 0x20) | ((first >= 0x09) & (first <= 0x0D)))
    word = breaks[places]
    begins = np.ones(len(places), dtype=bool)
    begins[1:] = (word[1:] != word[:-1]) | (row[1:] != row[:-1])
    return Letters(
        np.bincount(row, minlength=len(texts)), _sums(latin, ends), _sums(others, ends),
        np.bincount(row[begins], minlength=len(texts)),
    )  # fmt: skip


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
