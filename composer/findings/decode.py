"""From a JSON value back to the dataclass that `dataclasses.asdict` took apart, by the types of its fields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints


def decoded(kind: Any, value: Any) -> Any:
    """The `kind` that `value` was written from.

    Args:
        kind: A dataclass, `X | None`, `tuple[X, ...]`, `Mapping[str, X]`, or a type that JSON has.
        value: The JSON value. A missing or unknown field is an error, as it would be in a call.

    Raises:
        TypeError: The fields of `value` are not those of the dataclass.
    """
    origin = get_origin(kind)
    if origin in (Union, UnionType):
        (some,) = (one for one in get_args(kind) if one is not type(None))
        return None if value is None else decoded(some, value)
    if origin is tuple:
        return tuple(decoded(get_args(kind)[0], one) for one in value)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return {name: decoded(get_args(kind)[1], one) for name, one in value.items()}
    if not (isinstance(kind, type) and is_dataclass(kind)):
        return value
    hints = get_type_hints(kind)
    known = {field.name: hints[field.name] for field in fields(kind)}
    return kind(**{name: decoded(known[name], one) if name in known else one for name, one in value.items()})
