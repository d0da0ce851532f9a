"""Text about a row in which `{path}` stands for what the row has there: its category, its stratum, its source."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from composer.pool.sources.shapes import Problems

PIECE = re.compile(r"\{([^{}|]+)(?:\|([^{}]*))?\}")
MODE = "{mode}"  # stands for what is known of a row only later


@dataclass(frozen=True)
class Label:
    """Such a text; `{path|default}` says what stands for a row that has nothing there.

    Attributes:
        text: As declared.
        names: Path → value → how it is written; of a path that is here no other value is allowed.
    """

    text: str
    names: Mapping[str, Mapping[str, str]]

    @property
    def stray(self) -> bool:
        """Whether it has a brace that is of no path."""
        rest = PIECE.sub("", self.text)
        return "{" in rest or "}" in rest

    @property
    def paths(self) -> list[str]:
        """The paths in it."""
        return [path for path, _ in PIECE.findall(self.text) if f"{{{path}}}" != MODE]

    @property
    def required(self) -> list[str]:
        """The paths in it that have no default."""
        return [path for path, default in PIECE.findall(self.text) if not default and f"{{{path}}}" != MODE]

    def of(self, columns: Mapping[str, pa.StringArray], rows: int) -> tuple[pa.StringArray, Problems]:
        """The text of each of `rows` rows, and why some have none.

        Args:
            columns: Path → (rows,) what the rows have there.
            rows: Their number.
        """
        problems = np.full(rows, None, dtype=object)
        pieces: list[pa.Array] = []
        at = 0
        for found in PIECE.finditer(self.text):
            path, default = found.groups()
            pieces += [_same(self.text[at : found.start()], rows)]
            at = found.end()
            if found.group() == MODE:
                pieces.append(_same(MODE, rows))
                continue
            trimmed = pc.utf8_trim_whitespace(columns[path])
            # A value that must be one of some is taken as it stands: another way of writing it is a fault to look at.
            value = columns[path] if path in self.names else trimmed
            value = pc.if_else(pc.equal(trimmed, ""), pa.scalar(None, pa.string()), value)
            if path in self.names:
                value = _named(path, value, self.names[path], problems)
            if default is not None:
                value = pc.fill_null(value, default)
            for place in np.flatnonzero(np.asarray(value.is_null())):
                problems[place] = problems[place] or f"{path} is empty"
            pieces.append(pc.fill_null(value, ""))
        pieces.append(_same(self.text[at:], rows))
        return pc.binary_join_element_wise(*pieces, ""), problems


def _named(path: str, value: pa.StringArray, names: Mapping[str, str], problems: Problems) -> pa.StringArray:
    """The names of values; those of none are told in `problems`."""
    coded = value.dictionary_encode()
    known = pa.array([names.get(one) for one in coded.dictionary.to_pylist()], pa.string())
    found = known.take(coded.indices)
    for place in np.flatnonzero(np.asarray(pc.and_(found.is_null(), value.is_valid()))):
        problems[place] = f"{path} is {value[place].as_py()[:40]!r}; it must be one of {', '.join(names)}"
    return found


def _same(text: str, rows: int) -> pa.StringArray:
    return pa.repeat(pa.scalar(text, pa.string()), rows)
