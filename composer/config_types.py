"""Whether plain values are of the types that a schema declares; what is not is told by its whole key."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, get_args, get_origin, get_type_hints

from omegaconf import MISSING
from omegaconf.errors import ValidationError
from omegaconf.nodes import BooleanNode, FloatNode, IntegerNode, StringNode, ValueNode

from composer.checks import listed, nearest

Taker = Callable[[Any], ValueNode]
NODES: dict[Any, Taker] = {str: StringNode, int: IntegerNode, float: FloatNode, bool: BooleanNode}
SAID = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}
SAID_MANY = {str: "text", int: "whole numbers", float: "numbers"}
SHOWN = 60  # characters of a value


def type_problems(kind: Any, value: Any, key: str = "") -> Iterator[str]:
    """What is wrong with the types of the value at `key`; one that OmegaConf has yet to resolve is not looked at.

    Args:
        kind: A dataclass, a list or a mapping of such, text or a number; each perhaps optional.
        value: Of plain lists and mappings.
        key: Where it stands; empty at the root.
    """
    kind, optional = _bare(kind)
    if kind is Any or optional and value is None or isinstance(value, str) and "${" in value:
        return
    if is_dataclass(kind) and isinstance(value, Mapping):
        yield from _section_problems(kind, value, key)
    elif get_origin(kind) is list and isinstance(value, list):
        for place, one in enumerate(value):
            yield from type_problems(get_args(kind)[0], one, f"{key}[{place}]")
    elif get_origin(kind) is dict and isinstance(value, Mapping):
        for name, one in value.items():
            if not isinstance(name, str):
                yield f"{key} has the name {_shown(name)}: a name must be text; put it in quotes"
            yield from type_problems(get_args(kind)[1], one, _below(key, name))
    elif kind not in NODES or not _taken(kind, value):
        yield f"{key} is {_shown(value)}: it must be {_said(kind, value)}{', or null' if optional else ''}"


def _section_problems(kind: Any, value: Mapping[Any, Any], key: str) -> Iterator[str]:
    hints = get_type_hints(kind)
    for name, given in value.items():
        if name in hints:
            yield from type_problems(hints[name], given, _below(key, name))
        else:
            yield f"{_below(key, name)} is not a key: {nearest(str(name), list(hints))}"
    for of in fields(kind):
        if of.name in value and value[of.name] != MISSING:
            continue
        if of.default is MISSING:
            yield f"{_below(key, of.name)} is not set: it must be {_said(hints[of.name])}"
        elif is_dataclass(hints[of.name]):
            yield from _section_problems(hints[of.name], {}, _below(key, of.name))


def _bare(kind: Any) -> tuple[Any, bool]:
    """The type that an optional one is of, and whether it is optional."""
    others = [one for one in get_args(kind) if one is not type(None)]
    return (others[0], True) if type(None) in get_args(kind) else (kind, False)


def _taken(kind: Any, value: Any) -> bool:
    # OmegaConf takes true for the text "True", which no row holds: JSON has "true".
    if value is None or kind is str and isinstance(value, bool):
        return False
    try:
        NODES[kind](value)
    except ValidationError:
        return False
    return True


def _said(kind: Any, value: Any = None) -> str:
    """What a value must be; the value itself as a list, where it is one thing and could be one of several."""
    kind, _ = _bare(kind)
    if is_dataclass(kind):
        return f"a mapping of {listed(of.name for of in fields(kind))}"
    if get_origin(kind) is list:
        of = SAID_MANY.get(get_args(kind)[0])
        such = f", such as [{_shown(value)}]" if isinstance(value, str | int | float) else ""
        return "a list" + (f" of {of}" if of else "") + such
    if get_origin(kind) is dict:
        of = get_args(kind)[1]
        return "a mapping" + ("" if of is Any else f" of names, each to {_said(of)}")
    return SAID[kind] + ("; put it in quotes" if isinstance(value, bool) else "")


def _shown(value: Any) -> str:
    told = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return told if len(told) <= SHOWN else f"{told[: SHOWN - 1]}…"


def _below(key: str, name: object) -> str:
    return f"{key}.{name}" if key else str(name)
