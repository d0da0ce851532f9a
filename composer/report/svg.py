"""What every chart is drawn with: a linear scale, its ticks, and text that fits.

Colours and text styles are classes of `page.css`, so that one drawing serves light, dark and print.
"""

from __future__ import annotations

import math
import unicodedata
from dataclasses import dataclass

from composer.report.markup import Markup, tag

WIDTH = 1040.0  # of every chart, in its own units; the page scales it
FONT = 13.0  # size of text in a chart, in the same units


@dataclass(frozen=True)
class Scale:
    """A straight line from data to coordinates.

    Attributes:
        low: The value at `start`.
        high: The value at `end`; not equal to `low`.
        start: A coordinate.
        end: A coordinate.
    """

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """The coordinate of `value`."""
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)


def ticks(low: float, high: float, about: int = 6) -> list[float]:
    """Round values in [low, high], in steps of 1, 2 or 5 times a power of ten; about `about` of them."""
    if high <= low:
        return [low]
    step = 10 ** math.floor(math.log10((high - low) / about))
    step = next((step * factor for factor in (1, 2, 5) if (high - low) / (step * factor) <= about), step * 10)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [place * step for place in range(first, last + 1)]


def tick_text(value: float, among: list[float]) -> str:
    """A tick's label, with as many decimals as its neighbours need."""
    step = abs(among[1] - among[0]) if len(among) > 1 else abs(value) or 1
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    if step >= 1000 and decimals == 0:
        return f"{value / 1000:g}k" if value else "0"
    return f"{value + 0:.{decimals}f}".replace("-", "−")


def text_width(content: str, size: float = FONT) -> float:
    """How wide `content` is about, in the units of `size`: Hangul is an em wide, Latin a bit over half."""
    return sum(1.0 if unicodedata.east_asian_width(letter) in "WF" else 0.58 for letter in content) * size


def fitted(content: str, room: float, size: float = FONT) -> str:
    """`content`, cut with an ellipsis where it is wider than `room`."""
    if text_width(content, size) <= room:
        return content
    while content and text_width(content + "…", size) > room:
        content = content[:-1]
    return content.rstrip() + "…"


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Markup:
    """A straight line."""
    return tag("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def text(x: float, y: float, content: str, class_: str = "", anchor: str = "start") -> Markup:
    """Text whose baseline starts, is centred or ends at (x, y)."""
    return tag("text", content, x=x, y=y, class_=class_ or None, text_anchor=None if anchor == "start" else anchor)


def named(x: float, y: float, name: str, label: str, room: float) -> Markup:
    """A name and, after it, as much of its label as there is room for; the whole label is the tooltip."""
    name = fitted(name, room)
    rest = room - text_width(name) - 8
    parts = [tag("title", f"{name}  {label}".strip()), name]
    if label and rest > 3 * FONT:
        parts.append(tag("tspan", fitted(label, rest), class_="dim", dx=8))
    return tag("text", *parts, x=x, y=y)


def chart(height: float, description: str, *children: str | None) -> Markup:
    """A whole chart, `WIDTH` wide; `description` is read out to those who do not see it."""
    drawing = tag("svg", *children, viewBox=f"0 0 {WIDTH:.0f} {height:.0f}", role="img", aria_label=description)
    return tag("div", drawing, class_="chart")
