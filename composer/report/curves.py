"""Loss curves: one panel an arm on shared axes, its seeds as thin lines before all other arms in grey."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from composer.findings.planned import TrialEvent
from composer.findings.results import Results
from composer.report.markup import Markup, tag
from composer.report.svg import WIDTH, Scale, chart, line, named, text, tick_text, ticks
from composer.report.wording import arm_label, done_said

Curve = Sequence[tuple[float, float]]  # (step, loss)
Curves = Mapping[str, Mapping[int, Curve]]  # arm → seed → curve

COLUMNS = 4
LEFT, GAP, TOP, PLOT, BOTTOM = 44.0, 24.0, 28.0, 150.0, 48.0
POINTS = 400  # of one line


def curves(results: Results, losses: Curves) -> Markup | None:
    """The loss of every finished trial; None without one."""
    everything = [point for of in losses.values() for curve in of.values() for point in curve]
    if not everything:
        return None
    columns = min(COLUMNS, max(2, len(results.arms)))
    width = (WIDTH - LEFT - GAP * (columns - 1)) / columns
    last = max(step for step, _ in everything)
    low, high = min(loss for _, loss in everything), max(loss for _, loss in everything)
    margin = 0.04 * (high - low) or 0.5
    panels = []
    for place, arm in enumerate(results.arms):
        x = LEFT + (place % columns) * (width + GAP)
        y = TOP + (place // columns) * (TOP + PLOT + BOTTOM)
        across, up = Scale(0, last, x, x + width), Scale(low - margin, high + margin, y + PLOT, y)
        panels += [*_frame(across, up, place % columns == 0), named(x, y - 10, arm.name, arm_label(arm), width)]
        panels += [
            tag("path", d=_path(curve, across, up), class_="ghost")
            for other, of in losses.items()
            if other != arm.name
            for curve in of.values()
        ]
        panels += [
            tag("path", tag("title", f"{arm.name}, seed {seed}"), d=_path(curve, across, up), class_="loss")
            for seed, curve in losses.get(arm.name, {}).items()
        ]
        panels += [
            _event(event, losses[arm.name].get(event.seed, ()), across, up)
            for event in results.events
            if event.arm == arm.name and event.step <= last
        ]
        if not losses.get(arm.name):
            panels.append(text(x + width / 2, y + PLOT / 2, "no finished trial", "dim", "middle"))
    height = -(-len(results.arms) // columns) * (TOP + PLOT + BOTTOM)
    return chart(height, "Training loss by step, one panel an arm", *panels)


def thinned(curve: Curve, points: int = POINTS) -> list[tuple[float, float]]:
    """At most `points` of a curve: the lowest and the highest of each stretch, so that every spike stays."""
    if len(curve) <= points:
        return list(curve)
    size = math.ceil(len(curve) / (points // 2))
    kept = []
    for start in range(0, len(curve), size):
        stretch = sorted(curve[start : start + size], key=lambda point: point[1])
        kept += sorted({stretch[0], stretch[-1]})
    return kept


def _event(event: TrialEvent, curve: Curve, across: Scale, up: Scale) -> Markup:
    """An event where it was on its trial's curve; at the top where the trial, having failed, has none."""
    after = next((place for place, (step, _) in enumerate(curve) if step >= event.step), len(curve) - 1)
    y = up.end
    if curve:
        (x0, y0), (x1, y1) = curve[max(after - 1, 0)], curve[after]
        y = up(y0 if x1 == x0 else y0 + (y1 - y0) * min((event.step - x0) / (x1 - x0), 1))
    told = tag("title", f"{event.arm}, seed {event.seed}: {event.told} ({done_said(event)})")
    return tag("circle", told, cx=round(across(event.step), 1), cy=round(y, 1), r=4.5, class_="event")


def _path(curve: Curve, across: Scale, up: Scale) -> str:
    return "M" + "L".join(f"{across(step):.1f} {up(loss):.1f}" for step, loss in thinned(curve))


def _frame(across: Scale, up: Scale, first: bool) -> list[Markup]:
    marks, steps = ticks(up.low, up.high, 6), ticks(0, across.high, 4)
    parts = [line(across.start, up(mark), across.end, up(mark), "grid") for mark in marks]
    if first:
        parts += [text(across.start - 8, up(mark) + 4, tick_text(mark, marks), "tick", "end") for mark in marks]
    parts += [text(across(step), up.start + 17, tick_text(step, steps), "tick", "middle") for step in steps]
    parts.append(text((across.start + across.end) / 2, up.start + 33, "step", "tick", "middle"))
    return parts
