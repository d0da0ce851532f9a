"""Score against cost: one panel for the mean of all benchmarks and one for each, the Pareto front drawn through."""

from __future__ import annotations

from collections.abc import Sequence

from composer.findings.pareto import Point, front
from composer.findings.results import Results
from composer.report.markup import Markup, tag
from composer.report.svg import WIDTH, Scale, chart, fitted, line, text, text_width, tick_text, ticks
from composer.report.wording import plain, short_count

COLUMNS = 3
LEFT, GAP, TOP, PLOT, BOTTOM = 44.0, 52.0, 30.0, 210.0, 52.0


def pareto(results: Results) -> Markup | None:
    """The panels; None where fewer than two arms have finished."""
    panels = [("mean of all benchmarks", front(results))] if len(results.benchmarks) > 1 else []
    panels += [(one.label, front(results, one.name)) for one in results.benchmarks]
    if len(panels[0][1]) < 2:
        return None
    columns = min(COLUMNS, max(2, len(panels)))
    width = (WIDTH - LEFT - GAP * (columns - 1) - 8) / columns
    most = max(point.tokens for _, points in panels for point in points)
    parts: list[Markup] = []
    for place, (title, points) in enumerate(panels):
        x = LEFT + (place % columns) * (width + GAP)
        y = TOP + (place // columns) * (TOP + PLOT + BOTTOM)
        across = Scale(0, most * 1.06, x, x + width)
        parts += _panel(title, points, across, _up(points, y))
    height = -(-len(panels) // columns) * (TOP + PLOT + BOTTOM)
    return chart(height, "Accuracy against training tokens; the line is the Pareto front", *parts)


def _up(points: Sequence[Point], y: float) -> Scale:
    low = min(100 * (point.score - (point.sd or 0)) for point in points)
    high = max(100 * (point.score + (point.sd or 0)) for point in points)
    margin = 0.08 * (high - low) or 1.0
    return Scale(low - margin, high + margin, y + PLOT, y)


def _panel(title: str, points: Sequence[Point], across: Scale, up: Scale) -> list[Markup]:
    marks, steps = ticks(up.low, up.high, 5), ticks(across.low, across.high, 4)
    parts = [text(across.start, up.end - 12, fitted(title, across.end - across.start), "strong")]
    parts += [line(across.start, up(mark), across.end, up(mark), "grid") for mark in marks]
    parts += [text(across.start - 8, up(mark) + 4, tick_text(mark, marks), "tick", "end") for mark in marks]
    parts += [text(across(step), up.start + 17, short_count(step), "tick", "middle") for step in steps]
    parts.append(text((across.start + across.end) / 2, up.start + 34, "training tokens", "tick", "middle"))
    on_front = sorted((point for point in points if point.on_front), key=lambda point: point.tokens)
    if len(on_front) > 1:
        path = "M" + "L".join(f"{across(p.tokens):.1f} {up(100 * p.score):.1f}" for p in on_front)
        parts.append(tag("path", d=path, class_="front"))
    taken: list[tuple[float, float]] = []
    for point in points:
        parts.append(_point(point, across, up, taken))
    return parts


def _point(point: Point, across: Scale, up: Scale, taken: list[tuple[float, float]]) -> Markup:
    x, y = across(point.tokens), up(100 * point.score)
    spread = "" if point.sd is None else f" ± {plain(point.sd, 'accuracy')}"
    told = f"{point.arm}: {plain(point.score, 'accuracy')}{spread} points for {short_count(point.tokens)} tokens"
    whisker = (
        None
        if point.sd is None
        else line(x, up(100 * (point.score - point.sd)), x, up(100 * (point.score + point.sd)), "spread")
    )
    left = x + 9 + text_width(point.arm, 12) > across.end
    label_y = y - 6
    while any(abs(label_y - other) < 12 and abs(x - at) < 70 for at, other in taken):
        label_y += 12
    taken.append((x, label_y))
    return tag(
        "g",
        tag("title", told),
        whisker,
        tag("circle", cx=x, cy=y, r=4.5, class_="point"),
        text(x - 8 if left else x + 8, label_y, point.arm, "tick", "end" if left else "start"),
        class_="alike" if point.on_front else "open",
    )
