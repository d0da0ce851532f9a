"""What a source's rows are asked for: paths into their fields, and what must stand there.

`question`, `question.stem` and `question.choices[].text` are paths; `[]` goes into every element of a list.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc

from composer.checks import listed
from composer.errors import PoolError

# text: numbers and truth values become it. texts: a list of it. turns: a list of objects with two fields of it.
Kind = Literal["text", "texts", "turns"]
TURN_FIELDS = (("role", "content"), ("from", "value"))
SAID = {"text": "text", "texts": "a list of text", "turns": "a list of turns"}
_PATH = re.compile(r"[^.\[\]]+(\[\])?(\.[^.\[\]]+(\[\])?)*")


class NotThatKind(ValueError):
    """A value of a row is not what is asked for; its text says what it is."""


@dataclass(frozen=True)
class Column:
    """A path and what stands there.

    Attributes:
        path: As above.
        kind: Of what stands there.
        fields: Of turns: the names of the role and the content.
        optional: Whether a file may have no such column.
    """

    path: str
    kind: Kind = "text"
    fields: tuple[str, str] = TURN_FIELDS[0]
    optional: bool = False

    def __post_init__(self) -> None:
        """Checks the path."""
        if not _PATH.fullmatch(self.path) or (self.path.count("[]") > (self.kind == "texts")):
            raise ValueError(
                f"{self.path!r} is not a path to {SAID[self.kind]}, such as question or question.choices[].text"
            )

    @property
    def name(self) -> str:
        """Of the column of a file that the path begins in."""
        return self.steps[0].removesuffix("[]")

    @property
    def steps(self) -> list[str]:
        """The names on the way, those of lists ending in []."""
        return self.path.split(".")

    @property
    def type(self) -> pa.DataType:
        """Of the column that is read."""
        if self.kind == "text":
            return pa.string()
        if self.kind == "texts":
            return pa.list_(pa.string())
        return pa.list_(pa.struct([(name, pa.string()) for name in self.fields]))

    def of_record(self, record: Mapping[str, Any]) -> Any:
        """What stands in one row, as `type` takes it; None where nothing does.

        Raises:
            NotThatKind: It is of another kind.
        """
        return self._as_kind(_walk(record, self.steps))

    def of_table(self, table: pa.Table) -> pa.ChunkedArray:
        """The column, of `type`, in a table that has the path's first name; all null where a later one is absent.

        Raises:
            NotThatKind: The table has something else there.
        """
        name, *others = self.steps
        if self.optional and name.removesuffix("[]") not in table.column_names:
            return pa.chunked_array([pa.nulls(len(table), self.type)])
        found: Any = table[name.removesuffix("[]")].combine_chunks()
        found = found.combine_chunks() if isinstance(found, pa.ChunkedArray) else found
        found = _within(found, name.endswith("[]"), others)
        if found is None:
            return pa.chunked_array([pa.nulls(len(table), self.type)])
        if pa.types.is_dictionary(found.type):
            found = found.dictionary_decode()
        if self.kind == "text" and (pa.types.is_nested(found.type) or pa.types.is_binary(found.type)):
            raise NotThatKind(f"{self.path} is {found.type}; it must be text")
        if pa.types.is_null(found.type):
            return pa.chunked_array([pa.nulls(len(table), self.type)])
        try:
            return pa.chunked_array([found.cast(self.type)])
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError) as error:
            raise NotThatKind(f"{self.path} is {found.type}; it must be {SAID[self.kind]}") from error

    def _as_kind(self, value: Any) -> Any:
        if value is None:
            return None
        if self.kind == "text":
            return self._text(value)
        if not isinstance(value, list):
            raise NotThatKind(f"{self.path} is {_shown(value)}; it must be {SAID[self.kind]}")
        if self.kind == "texts":
            return [None if one is None else self._text(one) for one in value]
        if not all(isinstance(turn, dict) for turn in value):
            raise NotThatKind(f"{self.path} is {_shown(value)}; it must be {SAID[self.kind]}")
        return [
            {name: None if turn.get(name) is None else self._text(turn[name]) for name in self.fields} for turn in value
        ]

    def _text(self, value: Any) -> str:
        if isinstance(value, str):
            return value
        if isinstance(value, bool | int | float):
            return json.dumps(value)
        raise NotThatKind(f"{self.path} holds {_shown(value)}, where text must be")


def check_names(columns: Mapping[str, Column], names: Sequence[str], where: object) -> None:
    """Checks that a file, or what `where` says, has all columns that are asked for, and each of them once.

    Raises:
        PoolError: It lacks some that are not optional, or has one twice.
    """
    asked = dict.fromkeys(column.name for column in columns.values())
    needed = {column.name for column in columns.values() if not column.optional}
    if lacking := [name for name in asked if name in needed and name not in names]:
        raise PoolError(f"{where} has no column {listed(lacking)}: it has {listed(names) or 'none'}")
    if twice := [name for name in asked if names.count(name) > 1]:
        raise PoolError(f"{where} has the column {listed(twice)} more than once: rename all but one")


def select(table: pa.Table, columns: Mapping[str, Column], where: object) -> pa.Table:
    """What is asked for of a table, by name.

    Raises:
        PoolError: It has something else there.
    """
    try:
        return pa.table({name: column.of_table(table) for name, column in columns.items()})
    except NotThatKind as error:
        raise PoolError(f"{where}: {error}") from error


def read_type(columns: Mapping[str, Column]) -> pa.Schema | None:
    """The schema of the top-level fields that columns are in; None where two of them do not go together."""
    tree: dict[str, Any] = {}
    for column in columns.values():
        at = tree
        *way, last = column.steps
        for step in way:
            at = at.setdefault(step, {})
            if not isinstance(at, dict):
                return None
        leaf = pa.string() if last.endswith("[]") else column.type
        if column.kind == "texts" and any(step.endswith("[]") for step in way):
            leaf = pa.string()
        if at.get(last, leaf) != leaf:
            return None
        at[last] = leaf
    names = [step.removesuffix("[]") for step in tree]
    return None if len(set(names)) < len(names) else pa.schema(_fields(tree))


def _fields(tree: Mapping[str, Any]) -> list[tuple[str, pa.DataType]]:
    found = []
    for step, of in tree.items():
        kind = pa.struct(_fields(of)) if isinstance(of, dict) else of
        found.append((step.removesuffix("[]"), pa.list_(kind) if step.endswith("[]") else kind))
    return found


def _walk(value: Any, steps: list[str]) -> Any:
    for place, step in enumerate(steps):
        name, each = step.removesuffix("[]"), step.endswith("[]")
        if value is None:
            return None
        if not isinstance(value, Mapping):
            raise NotThatKind(f"{'.'.join(steps)}: {_shown(value)} has no {name}")
        value = value.get(name)
        if each and value is not None:
            if not isinstance(value, list):
                raise NotThatKind(f"{'.'.join(steps)}: {name} is {_shown(value)}; it must be a list")
            return [_walk(one, steps[place + 1 :]) for one in value]
    return value


def _within(found: Any, each: bool, steps: list[str]) -> Any:
    """The array at the end of some steps, None where there is none."""
    if each:
        if not pa.types.is_list(found.type) and not pa.types.is_large_list(found.type):
            return found
        offsets, inner = found.offsets, _within(found.values, False, steps)
        if inner is None:
            return None
        mask = found.is_null() if found.null_count else None
        kind = pa.ListArray if pa.types.is_list(found.type) else pa.LargeListArray
        return kind.from_arrays(offsets, inner, mask=mask)
    if not steps:
        return found
    name, *others = steps
    if not pa.types.is_struct(found.type) or found.type.get_field_index(name.removesuffix("[]")) < 0:
        return None
    return _within(pc.struct_field(found, name.removesuffix("[]")), name.endswith("[]"), others)


def _shown(value: Any) -> str:
    told = json.dumps(value, ensure_ascii=False, default=str)
    return told if len(told) <= 60 else f"{told[:57]}…"
