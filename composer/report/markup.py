"""HTML and SVG as values: text is escaped unless it is already markup, so no label can break out of the page."""

from __future__ import annotations

import math
from collections.abc import Iterable
from html import escape

VOID = {"br", "col", "hr", "meta"}
Attribute = str | int | float | bool | None


class Markup(str):
    """Text that is already HTML."""


def tag(name: str, *children: str | None, **attributes: Attribute) -> Markup:
    """One element with its children.

    Args:
        name: The element's name.
        children: Markup as it is, other text escaped, None left out.
        attributes: `class_` is written class, `stroke_width` stroke-width. None and False are left out, True is
            written without a value, a float with at most two decimals.

    Raises:
        ValueError: A number is not finite.
    """
    opening = "".join([f"<{name}", *(_attribute(key, value) for key, value in attributes.items()), ">"])
    return Markup(opening) if name in VOID else Markup(f"{opening}{join(children)}</{name}>")


def join(parts: Iterable[str | None], between: str = "") -> Markup:
    """Markup and text one after the other, with `between` (markup) between them."""
    return Markup(between.join(_escaped(part) for part in parts if part is not None))


def number(value: float) -> str:
    """A coordinate: at most two decimals.

    Raises:
        ValueError: It is not finite.
    """
    if not math.isfinite(value):
        raise ValueError(f"a coordinate is {value}: it must be finite")
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def _escaped(part: str) -> str:
    return part if isinstance(part, Markup) else escape(part)


def _attribute(key: str, value: Attribute) -> str:
    if value is None or value is False:
        return ""
    name = key.rstrip("_").replace("_", "-")
    if value is True:
        return f" {name}"
    return f' {name}="{number(value) if isinstance(value, int | float) else escape(value)}"'
