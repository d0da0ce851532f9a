"""Scores over doses or sizes: one panel a benchmark, with the fitted curve and its band where a test allows one."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from composer.findings.designs import DoseFinding, ScalingFinding
from composer.findings.results import Results
from composer.findings.scaling import Prediction
from composer.report.markup import Markup, tag
from composer.report.svg import WIDTH, Scale, chart, fitted, line, text, tick_text, ticks
from composer.report.wording import short_count, shown

COLUMNS = 2
LEFT, GAP, TOP, PLOT, BOTTOM = 48.0, 64.0, 50.0, 230.0, 56.0
Ends = tuple[float, float | None, float | None]  # the place along the axis, and the ends of a band


@dataclass(frozen=True)
class Panel:
    """What one panel shows, in the benchmark's unit.

    Attributes:
        title: The benchmark's label.
        said: What was found, in a line.
        points: Dose or size → the score of each seed.
        curve: Dose or size → the fitted score; empty where no test allows one.
        band: The curve's interval; an end is None where it has none.
        measured: The largest dose or size that was run; the curve beyond is a prediction.
        enough: The threshold and the ends of its interval; None where there is none.
    """

    title: str
    said: str
    points: Sequence[tuple[float, Sequence[float]]]
    curve: Sequence[tuple[float, float]]
    band: Sequence[Ends]
    measured: float
    enough: Ends | None


def doses(results: Results, found: Sequence[DoseFinding], said: Callable[[DoseFinding], str]) -> Markup:
    """The panels of one dose ladder; doses stand on a scale that gives small ones room and has a place for none."""
    panels = []
    for one in found:
        response = one.response
        base = response.points[0].mean
        full = response.points[-1].dose
        threshold = response.threshold
        panels.append(
            Panel(
                title=_label(results, one.benchmark),
                said=said(one),
                points=[(point.dose, point.values) for point in response.points],
                curve=[(point.dose, base + point.gain) for point in response.curve],
                band=[(point.dose, base + point.low, base + point.high) for point in response.curve],
                measured=full,
                enough=None if threshold is None else (threshold.dose, threshold.low, threshold.high),
            )
        )
    return _chart(
        found[0].kind, panels, math.sqrt, lambda low, high: [0.0, *_powers(max(low, high / 40), high)], "rows"
    )


def sizes(results: Results, found: Sequence[ScalingFinding], said: Callable[[ScalingFinding], str]) -> Markup:
    """The panels of one scaling ladder, on a logarithmic scale; the band beyond the last size is a prediction."""
    panels = [
        Panel(
            title=_label(results, one.benchmark),
            said=said(one),
            points=[(point.size, point.values) for point in one.curve.points],
            curve=[(at.size, at.expected.value) for at in _band(one) if at.expected.value is not None],
            band=[(at.size, at.expected.low, at.expected.high) for at in _band(one)],
            measured=one.curve.points[-1].size,
            enough=None,
        )
        for one in found
    ]
    return _chart(found[0].kind, panels, math.log10, _powers, "rows")


def _band(finding: ScalingFinding) -> Sequence[Prediction]:
    """The law's band; none where the law does not fit."""
    return finding.curve.band if finding.fits else ()


def _chart(
    kind: str, panels: Sequence[Panel], scaled: Callable[[float], float],
    marks: Callable[[float, float], list[float]], unit: str,
) -> Markup:  # fmt: skip
    columns = COLUMNS
    width = (WIDTH - LEFT - GAP * (columns - 1) - 8) / columns
    parts: list[Markup] = []
    for place, panel in enumerate(panels):
        x = LEFT + (place % columns) * (width + GAP)
        y = TOP + (place // columns) * (TOP + PLOT + BOTTOM)
        at = [dose for dose, _ in panel.points] + [dose for dose, _ in panel.curve]
        across = Scale(scaled(min(at)), scaled(max(at)) + 1e-9, x, x + width)
        parts += _panel(kind, panel, across, y, scaled, marks(min(at), max(at)), unit)
    height = -(-len(panels) // columns) * (TOP + PLOT + BOTTOM)
    named = ", ".join(panel.title for panel in panels)
    return chart(height, f"Scores over {unit} on {named}", *parts)


def _panel(
    kind: str,
    panel: Panel,
    across: Scale,
    y: float,
    scaled: Callable[[float], float],
    steps: Sequence[float],
    unit: str,
) -> list[Markup]:
    def unit_of(value: float) -> float:
        return shown(value, "accuracy" if kind == "accuracy" else "smooth")

    def place(value: float) -> float:
        return min(across.end, max(across.start, across(scaled(max(value, 0.0) or (0.0 if scaled(1) else 1.0)))))

    values = [unit_of(value) for _, of in panel.points for value in of]
    values += [unit_of(value) for _, value in panel.curve]
    low, high = min(values), max(values)
    margin = 0.08 * (high - low) or 1.0
    up = Scale(low - margin, high + margin, y + PLOT, y)

    def height(value: float) -> float:
        return min(y + PLOT, max(y, up(unit_of(value))))

    marks = ticks(up.low, up.high, 5)
    parts = [
        text(across.start, y - 28, fitted(panel.title, across.end - across.start), "strong"),
        text(across.start, y - 10, fitted(panel.said, across.end - across.start), "dim"),
    ]
    parts += [line(across.start, up(mark), across.end, up(mark), "grid") for mark in marks]
    parts += [text(across.start - 8, up(mark) + 4, tick_text(mark, marks), "tick", "end") for mark in marks]
    parts += [
        text(place(step), y + PLOT + 17, short_count(step), "tick", "middle")
        for step in steps
        if across.start - 1 <= across(scaled(step)) <= across.end + 1
    ]
    parts.append(text((across.start + across.end) / 2, y + PLOT + 34, unit, "tick", "middle"))
    if panel.enough is not None:
        dose, lower, upper = panel.enough
        ends = across.start if lower is None else place(lower), across.end if upper is None else place(upper)
        parts.append(tag("rect", x=ends[0], y=y, width=ends[1] - ends[0], height=PLOT, class_="enough"))
        parts.append(line(place(dose), y, place(dose), y + PLOT, "threshold"))
    if panel.band:
        upper_edge = [(place(at), y if end is None else height(end)) for at, _, end in panel.band]
        lower_edge = [(place(at), y + PLOT if end is None else height(end)) for at, end, _ in panel.band]
        parts.append(tag("path", d=_path([*upper_edge, *reversed(lower_edge)]), class_="band"))
    inside = [(place(at), height(value)) for at, value in panel.curve if at <= panel.measured * 1.0001]
    beyond = [*inside[-1:], *((place(at), height(value)) for at, value in panel.curve if at > panel.measured * 1.0001)]
    parts += [tag("path", d=_path(inside), class_="curve")] if len(inside) > 1 else []
    parts += [tag("path", d=_path(beyond), class_="curve beyond")] if len(beyond) > 1 else []
    for dose, of in panel.points:
        told = tag("title", f"{short_count(dose)} {unit}: {', '.join(f'{unit_of(value):.3g}' for value in of)}")
        dots = [tag("circle", cx=place(dose), cy=height(value), r=2.2, class_="dot") for value in of]
        mean = tag("circle", cx=place(dose), cy=height(sum(of) / len(of)), r=4, class_="mean")
        parts.append(tag("g", told, *dots, mean))
    return parts


def _path(points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)


def _powers(low: float, high: float) -> list[float]:
    """1, 2 and 5 times powers of ten from `low` to `high`; fewer where they would crowd."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    found = [
        factor * 10.0**power
        for power in range(first, last + 1)
        for factor in (1, 2, 5)
        if low * 0.999 <= factor * 10.0**power <= high * 1.001
    ]
    return found if len(found) <= 8 else found[:: -(-len(found) // 8)]


def _label(results: Results, benchmark: str) -> str:
    return next(one.label for one in results.benchmarks if one.name == benchmark)
