"""Score against cost: one panel for the mean of all benchmarks and one for each, the Pareto front drawn through."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from composer.findings.pareto import Point, front
from composer.findings.results import Results
from composer.report.focus import MANY
from composer.report.markup import Markup, tag
from composer.report.svg import WIDTH, Scale, chart, fitted, line, text, text_width, tick_text, ticks
from composer.report.wording import plain, short_count

COLUMNS = 3
LEFT, GAP, TOP, PLOT, BOTTOM = 44.0, 52.0, 30.0, 210.0, 52.0


@dataclass(frozen=True)
class Spot:
    """One arm in a panel.

    Attributes:
        name: The arm's name.
        x: Where it is, in the units of the axis.
        y: Likewise.
        spread: Half the length of the line through it, upwards and downwards; None for none.
        told: Its tooltip.
        on_front: Whether the front's line goes through it.
        named: Whether its name stands beside it.
        shy: Whether its name is left out where it would lie on another name or spot; else it is moved off names.
    """

    name: str
    x: float
    y: float
    spread: float | None
    told: str
    on_front: bool
    named: bool = True
    shy: bool = False


def pareto(results: Results) -> Markup | None:
    """The panels; None where fewer than two arms have finished."""
    panels = [("mean of all benchmarks", front(results))] if len(results.benchmarks) > 1 else []
    panels += [(one.label, front(results, one.name)) for one in results.benchmarks]
    if len(panels[0][1]) < 2:
        return None
    proposed = {one.arm for one in results.search.arms if one.proposed} if results.search else set()
    quiet = proposed if len(results.arms) > MANY else set()
    columns = min(COLUMNS, max(2, len(panels)))
    width = (WIDTH - LEFT - GAP * (columns - 1) - 8) / columns
    most = max(point.tokens for _, points in panels for point in points)
    parts: list[Markup] = []
    for place, (title, points) in enumerate(panels):
        x = LEFT + (place % columns) * (width + GAP)
        y = TOP + (place // columns) * (TOP + PLOT + BOTTOM)
        across = Scale(0, most * 1.06, x, x + width)
        spots = [_spot(point, point.arm in quiet) for point in points]
        parts += panel(title, "training tokens", spots, across, upward(spots, y), short_count)
    height = -(-len(panels) // columns) * (TOP + PLOT + BOTTOM)
    return chart(height, "Accuracy against training tokens; the line is the Pareto front", *parts)


def upward(spots: Sequence[Spot], y: float, plot: float = PLOT) -> Scale:
    """The vertical axis of a panel whose upper edge is at `y`: wide enough for every spot and its spread."""
    low = min(spot.y - (spot.spread or 0) for spot in spots)
    high = max(spot.y + (spot.spread or 0) for spot in spots)
    margin = 0.08 * (high - low) or 1.0
    return Scale(low - margin, high + margin, y + plot, y)


def panel(
    title: str, below: str, spots: Sequence[Spot], across: Scale, up: Scale, said: Callable[[float], str] | None = None
) -> list[Markup]:
    """One panel.

    Args:
        title: What the vertical axis measures.
        below: What the horizontal axis measures.
        spots: The arms.
        across: The horizontal axis.
        up: The vertical axis.
        said: Puts a tick of the horizontal axis into words; None for plain numbers.
    """
    marks, steps = ticks(up.low, up.high, 5), ticks(across.low, across.high, 4)
    parts = [text(across.start, up.end - 12, fitted(title, across.end - across.start), "strong")]
    parts += [line(across.start, up(mark), across.end, up(mark), "grid") for mark in marks]
    parts += [text(across.start - 8, up(mark) + 4, tick_text(mark, marks), "tick", "end") for mark in marks]
    parts += [
        text(across(step), up.start + 17, said(step) if said else tick_text(step, steps), "tick", "middle")
        for step in steps
    ]
    parts.append(text((across.start + across.end) / 2, up.start + 34, below, "tick", "middle"))
    on_front = sorted((spot for spot in spots if spot.on_front), key=lambda spot: spot.x)
    if len(on_front) > 1:
        path = "M" + "L".join(f"{across(spot.x):.1f} {up(spot.y):.1f}" for spot in on_front)
        parts.append(tag("path", d=path, class_="front"))
    taken: list[tuple[float, float]] = []
    places = [(across(spot.x), up(spot.y)) for spot in spots]
    for spot in sorted(spots, key=lambda spot: spot.shy):
        parts.append(_drawn(spot, across, up, taken, places))
    return parts


def _spot(point: Point, quiet: bool) -> Spot:
    spread = "" if point.sd is None else f" ± {plain(point.sd, 'accuracy')}"
    told = f"{point.arm}: {plain(point.score, 'accuracy')}{spread} points for {short_count(point.tokens)} tokens"
    sd = None if point.sd is None else 100 * point.sd
    named = point.on_front or not quiet
    return Spot(point.arm, point.tokens, 100 * point.score, sd, told, point.on_front, named, quiet)


def _drawn(
    spot: Spot, across: Scale, up: Scale, taken: list[tuple[float, float]], places: Sequence[tuple[float, float]]
) -> Markup:
    """A spot with its name; `taken` are the places of the names so far, `places` those of all spots."""
    x, y = across(spot.x), up(spot.y)
    whisker = None if spot.spread is None else line(x, up(spot.y - spot.spread), x, up(spot.y + spot.spread), "spread")
    width = text_width(spot.name, 12)
    left = x + 9 + width > across.end
    start, label_y = x - 8 - width if left else x + 8, y - 6
    covers = any(start - 6 < at < start + width + 6 and -15 < other - label_y < 6 for at, other in places)
    named = spot.named and not (spot.shy and (covers or _clashes(x, label_y, taken)))
    if named:
        while _clashes(x, label_y, taken):
            label_y += 12
        taken.append((x, label_y))
    return tag(
        "g",
        tag("title", spot.told),
        whisker,
        tag("circle", cx=x, cy=y, r=4.5, class_="point"),
        text(x - 8 if left else x + 8, label_y, spot.name, "tick", "end" if left else "start") if named else None,
        class_="alike" if spot.on_front else "open",
    )


def _clashes(x: float, y: float, taken: Sequence[tuple[float, float]]) -> bool:
    return any(abs(y - other) < 12 and abs(x - at) < 70 for at, other in taken)
