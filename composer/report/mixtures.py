"""Mixture bars: the rows of each arm by category, as realised and, below, as asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from composer.findings.results import Results
from composer.report.markup import Markup, join, tag
from composer.report.svg import FONT, WIDTH, Scale, chart, named, text, text_width, tick_text, ticks
from composer.report.wording import arm_label, count, percent

LEFT, RIGHT = 292.0, WIDTH - 84
ROW, BAR, ASKED, TOP, BOTTOM = 46.0, 22.0, 5.0, 6.0, 44.0
COLOURS = 8  # of `page.css`; further categories begin anew


def legend(plan: Mapping[str, Any]) -> Markup:
    """The categories and their colours."""
    chips = [
        tag("li", tag("span", class_=f"chip c{place % COLOURS}"), category)
        for place, category in enumerate(plan["categories"])
    ]
    return tag("ul", *chips, class_="legend")


def mixtures(plan: Mapping[str, Any], results: Results) -> Markup:
    """One bar an arm, as long as its mixture has rows."""
    arms = [(arm, plan["arms"][arm.name]["mixture"]) for arm in results.arms]
    most = max(max(mixture["rows"], _asked(mixture)) for _, mixture in arms) or 1
    axis = Scale(0, most, LEFT, RIGHT)
    height = TOP + ROW * len(arms) + BOTTOM
    marks = ticks(0, most, 6)
    bottom = height - BOTTOM
    parts = [tag("line", x1=axis(mark), x2=axis(mark), y1=TOP, y2=bottom, class_="grid") for mark in marks]
    parts += [text(axis(mark), bottom + 16, tick_text(mark, marks), "tick", "middle") for mark in marks]
    parts.append(text((LEFT + RIGHT) / 2, bottom + 34, "rows", "tick", "middle"))
    for place, (arm, mixture) in enumerate(arms):
        y = TOP + ROW * place + 6
        parts += [
            named(12, y + BAR / 2 + 4.5, arm.name, arm_label(arm), LEFT - 36),
            _bar(mixture, plan["categories"], "rows", axis, y, BAR),
            _bar(mixture, plan["categories"], "asked", axis, y + BAR + 2, ASKED),
            text(axis(mixture["rows"]) + 10, y + BAR / 2 + 4.5, count(mixture["rows"]), "number dim"),
        ]
    return chart(height, "Rows of each arm by category", *parts)


def _asked(mixture: Mapping[str, Any]) -> int:
    return sum(int(category["asked"]) for category in mixture["categories"].values())


def _bar(mixture: Mapping[str, Any], categories: list[str], what: str, axis: Scale, y: float, height: float) -> Markup:
    segments, start = [], 0
    for place, name in enumerate(categories):
        category = mixture["categories"].get(name)
        if category is None or not category[what]:
            continue
        colour = place % COLOURS
        x, width = axis(start), axis(start + category[what]) - axis(start)
        title = (
            f"{name}: {count(category['rows'])} rows, {percent(category['share'])}; asked {count(category['asked'])}"
        )
        segments.append(
            tag(
                "g",
                tag("title", f"{title}; available {count(category['available'])}"),
                tag("rect", x=x, y=y, width=width, height=height, class_=f"segment c{colour}"),
                _inside(percent(category["share"]), x, width, y, f"inside t{colour}") if what == "rows" else None,
            )
        )
        start += category[what]
    return tag("g", *segments, class_=what)


def _inside(content: str, x: float, width: float, y: float, class_: str) -> Markup | None:
    if text_width(content, FONT - 1) + 8 > width:
        return None
    return join([text(x + width / 2, y + BAR / 2 + 4, content, class_, "middle")])
