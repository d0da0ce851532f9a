"""A source as its config declares it: which columns are read, and what rows become of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from inspect import signature
from typing import Any, Literal, get_args, get_origin, get_type_hints

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from composer.checks import listed, one_of
from composer.config_pool import NAME, SourceConfig
from composer.pool.filters import RULES
from composer.pool.filters.batch import Batch
from composer.pool.filters.encoding import composed
from composer.pool.filters.images import without_images
from composer.pool.filters.rules import parameters
from composer.pool.sources.columns import Column
from composer.pool.sources.labels import Label
from composer.pool.sources.reading import Raw
from composer.pool.sources.shapes import SHAPES, Problems, Shape

CLEANERS = {"nfc": composed, "images": without_images}
Filters = Mapping[str, Mapping[str, Any] | None]  # filter → its parameters
CHOICE = "choice "  # begins the names of columns that hold a choice each


@dataclass(frozen=True, eq=False)
class Source:
    """A source.

    Attributes:
        name: Of its section.
        config: The section.
    """

    name: str
    config: SourceConfig

    @property
    def shape(self) -> Shape:
        """How columns become messages."""
        return SHAPES[self.config.shape]

    @cached_property
    def labels(self) -> dict[str, Label]:
        """What a row is told as."""
        of = {
            "category": self.config.category,
            "stratum": self.config.stratum,
            "source": self.config.source or self.name,
        }
        return {name: Label(text, self.config.names) for name, text in of.items()}

    @property
    def extras(self) -> list[str]:
        """Columns that filters take and the shape does not."""
        return [name for name in self.config.columns if not _of_shape(name, self.shape)]

    @cached_property
    def columns(self) -> dict[str, Column]:
        """All that is read of a row: the shape's columns and the extras by name, others by `{path}`."""
        declared = self.config.columns or {name: name for name in self.shape.needs}
        found = self.shape.columns(declared)
        paths = [path for label in self.labels.values() for path in label.paths]
        required = {path for label in self.labels.values() for path in label.required} | set(self.config.where)
        others = {path: Column(path, optional=path not in required) for path in [*paths, *self.config.where]}
        return {**found, **{f"{{{path}}}": column for path, column in others.items()}}

    def rows(self, raw: Raw) -> tuple[pa.Table, dict[str, Problems]]:
        """Rows with `messages`, `category`, `stratum`, `source` and the extras; and by stage why some are none.

        A stratum may still hold `{mode}`.
        """
        size = len(raw.table)
        by_path = {
            name[1:-1]: raw.table[name].combine_chunks() for name in raw.table.column_names if name.startswith("{")
        }
        told = {name: label.of(by_path, size) for name, label in self.labels.items()}
        asked = [name for name in raw.table.column_names if _of_shape(name, self.shape)]
        messages, problems = self.shape.make(raw.table.select(asked), **self.config.options)
        if self.config.clean:
            messages = _cleaned(messages, self.config.clean)
        stages = {"where": self._left_out(by_path, size), "messages": problems}
        stages |= {name: found for name, (_, found) in told.items()}
        stages["category"] = _first([stages["category"], _unnamed(told["category"][0])])
        columns = {name: values for name, (values, _) in told.items()}
        rows = pa.table({"messages": messages, **columns, **{name: raw.table[name] for name in self.extras}})
        return rows, stages

    def _left_out(self, by_path: Mapping[str, pa.StringArray], size: int) -> Problems:
        found = np.full(size, None, dtype=object)
        for path, values in self.config.where.items():
            taken = np.asarray(pc.is_in(pc.fill_null(by_path[path], ""), pa.array(values, pa.string())))
            for place in np.flatnonzero(~taken):
                found[place] = f"{path} is {by_path[path][place].as_py()!r:.40}"
        return found


def _first(problems: list[Problems]) -> Problems:
    """(n,) the first problem of each row."""
    found = problems[0].copy()
    for more in problems[1:]:
        none = np.array([one is None for one in found], dtype=bool)
        found[none] = more[none]
    return found


def _unnamed(categories: pa.StringArray) -> Problems:
    """Why categories are no names."""
    coded = categories.dictionary_encode()
    told = np.array(
        [None if NAME.fullmatch(name) else f"{name[:40]!r} is not of letters, digits and _" for name in
         coded.dictionary.to_pylist()], dtype=object,
    )  # fmt: skip
    return told[np.asarray(coded.indices)] if len(told) else np.full(len(categories), None, dtype=object)


def source_problems(key: str, config: SourceConfig) -> Iterator[str]:
    """What is wrong with the names of shapes, columns, filters and cleaners in a source's section, found at `key`."""
    if config.shape not in SHAPES:
        yield from one_of(f"{key}.shape", config.shape, list(SHAPES))
        return
    shape = SHAPES[config.shape]
    if config.columns and (lacking := [name for name in shape.needs if name not in config.columns]):
        yield f"{key}.columns lacks {listed(lacking)}: the shape {config.shape} takes {listed(shape.needs)}"
    options = [one.name for one in signature(shape.make).parameters.values() if one.kind is one.KEYWORD_ONLY]
    if unknown := [name for name in config.options if name not in options]:
        allowed = f"it must be of {listed(options)}" if options else "it has none"
        yield f"{key}.options names {listed(unknown)}, for the shape {config.shape}: {allowed}"
    for name in config.options:
        if name in options and (texts := _allowed(shape.make, name)):
            yield from one_of(f"{key}.options.{name}", str(config.options[name]), texts)
    if unknown := [name for name in config.clean if name not in CLEANERS]:
        yield f"{key}.clean names {listed(unknown)}: it must be of {listed(CLEANERS)}"
    yield from filter_problems(f"{key}.filters", config.filters)
    yield from column_problems(f"{key}.filters", config.filters, key, config)
    for name, label in Source("", config).labels.items():
        if label.stray:
            yield (
                f"{key}.{name} is {label.text}: a brace in it begins or ends no path; "
                "it must be text with {path} or {path|default}"
            )
    try:
        _ = Source("", config).columns
    except ValueError as error:
        yield f"{key}: {error}"


def filter_problems(key: str, asked: Filters) -> Iterator[str]:
    """What is wrong with filters and their parameters."""
    for name, given in asked.items():
        if name not in RULES:
            yield f"{key}.{name} is no filter: it must be one of {listed(sorted(RULES))}"
        elif given is not None and not isinstance(given, Mapping):
            yield f"{key}.{name} is {given}: it must be a mapping of parameters, or empty"
        elif unknown := [one for one in given or {} if one not in parameters(name)]:
            allowed = f"it must be of {listed(parameters(name))}" if parameters(name) else "it has none"
            yield f"{key}.{name} names {listed(unknown)}: {allowed}"
        elif problems := list(_parameter_problems(f"{key}.{name}", name, given or {})):
            yield from problems
        else:
            yield from _range_problems(f"{key}.{name}", {**parameters(name), **(given or {})})


def _parameter_problems(key: str, name: str, given: Mapping[str, Any]) -> Iterator[str]:
    for one, value in given.items():
        default = parameters(name)[one]
        number = isinstance(default, int | float)
        if allowed := _allowed(RULES[name], one):
            yield from one_of(f"{key}.{one}", value, allowed)
        elif not isinstance(value, (int, float) if number else str) or isinstance(value, bool):
            yield f"{key}.{one} is {value}: it must be {'a number' if number else 'text'}, such as {default}"


def _allowed(function: Callable[..., Any], parameter: str) -> tuple[str, ...]:
    """The texts that a parameter may be, where it is one of some."""
    kind = get_type_hints(function)[parameter]
    return get_args(kind) if get_origin(kind) is Literal else ()


def _range_problems(key: str, told: Mapping[str, Any]) -> Iterator[str]:
    if "share" in told and not 0 <= told["share"] <= 1:
        yield f"{key}.share is {told['share']}: it must be in [0, 1]"
    if "most" in told and not told["least"] <= told["most"]:
        yield (
            f"{key}.most is {told['most']}, and least is {told['least']}: most must be at least that, or no row is kept"
        )


def column_problems(key: str, asked: Filters, source: str, config: SourceConfig) -> Iterator[str]:
    """Which columns filters, found at `key`, take of a row that the section at `source` does not read."""
    shape = SHAPES.get(config.shape)
    for name, given in asked.items():
        if shape is None or name not in RULES or not isinstance(given, Mapping | None):
            continue
        column = {**parameters(name), **(given or {})}.get("column")
        if column is not None and (column not in config.columns or _of_shape(column, shape)):
            yield (
                f"{key}.{name}.column is {column}: {source}.columns must have it beside those of the shape; "
                f"set {source}.columns.{column}=PATH, where it stands in a row"
            )


def with_contents(messages: pa.ListArray, contents: pa.StringArray) -> pa.ListArray:
    """The messages with other contents, turn by turn."""
    turns = messages.flatten()
    told = pa.StructArray.from_arrays([turns.field("role"), contents], ["role", "content"])
    sizes = np.asarray(pc.fill_null(pc.list_value_length(messages), 0))
    offsets = pa.array(np.concatenate([[0], np.cumsum(sizes)]), pa.int32())
    return pa.ListArray.from_arrays(offsets, told)


def _cleaned(messages: pa.ListArray, names: list[str]) -> pa.ListArray:
    contents = Batch(pa.table({"messages": messages})).contents
    for name in names:
        contents = CLEANERS[name](contents)
    return with_contents(messages, contents)


def _of_shape(name: str, shape: Shape) -> bool:
    return name in shape.needs or name in shape.may or name.startswith(CHOICE)
