"""Forest plots: every gain with its interval on one axis, one group of rows a benchmark."""

from __future__ import annotations

from collections.abc import Sequence

from composer.findings.measured import Gain
from composer.findings.planned import Kind
from composer.findings.results import Results
from composer.report.markup import Markup, join, tag
from composer.report.svg import FONT, WIDTH, Scale, chart, fitted, line, named, text, tick_text, ticks
from composer.report.wording import (
    CLASSES,
    UNITS,
    contrast_label,
    contrast_name,
    interval,
    lower_is_better,
    p_value,
    plain,
    shown,
    signed,
)

LEFT, RIGHT = 292.0, 740.0  # the plot; names are left of it, numbers right of it
GAIN, INTERVAL, P = 800.0, 948.0, WIDTH - 4  # right ends of the columns of numbers
ROW, GROUP, BETWEEN, TOP, BOTTOM = 27.0, 42.0, 12.0, 30.0, 46.0  # heights


def forest(results: Results, kind: Kind) -> Markup:
    """The forest plot of all gains of this kind; the results must have some."""
    gains = [gain for gain in results.gains if gain.kind == kind]
    axis = _axis(gains)
    benchmarks = results.measured(kind)
    contrasts = results.contrasts()
    comparisons = sum(contrast[0] is not None for contrast in contrasts)
    gap = BETWEEN if 0 < comparisons < len(contrasts) else 0.0
    height = TOP + len(benchmarks) * (GROUP + ROW * len(contrasts) + gap) + BOTTOM
    rows: list[Markup] = []
    y = TOP
    for benchmark in benchmarks:
        items = next((one.items for one in gains if one.benchmark == benchmark.name and one.items), None)
        rows.append(_title(benchmark.label, items, y))
        y += GROUP
        for place, contrast in enumerate(contrasts):
            if gap and contrast[0] is not None and contrasts[place - 1][0] is None:
                rows.append(line(0, y + gap / 2, WIDTH, y + gap / 2, "rule"))
                y += gap
            name = named(12, y + ROW / 2 + 4.5, contrast_name(contrast), contrast_label(results, contrast), LEFT - 36)
            rows.append(join([name, _row(results.gain(contrast, benchmark.name, kind), axis, y + ROW / 2)]))
            y += ROW
    heading = _heading(results, kind, axis)
    return chart(height, f"Gains in {UNITS[kind]} with 95 % intervals", *_grid(axis, kind, height), heading, *rows)


def _axis(gains: Sequence[Gain]) -> Scale:
    """Wide enough for every gain and seed; a far wider interval (two seeds: t is 12.7) may leave it."""
    points = [0.0]
    ends = [0.0]
    for gain in gains:
        seen = [shown(value, gain.kind) for value in gain.differences]
        points += seen
        ends += [shown(end, gain.kind) for end in (gain.low, gain.high) if end is not None]
    span = (max(points) - min(points)) or 1.0
    low = max(min(points + ends), min(points) - span)
    high = min(max(points + ends), max(points) + span)
    margin = 0.04 * (high - low) or 0.5
    return Scale(low - margin, high + margin, LEFT, RIGHT)


def _grid(axis: Scale, kind: Kind, height: float) -> list[Markup]:
    marks = ticks(axis.low, axis.high, 8)
    bottom = height - BOTTOM + 6
    lines = [line(axis(mark), TOP - 6, axis(mark), bottom, "grid") for mark in marks if mark]
    labels = [text(axis(mark), bottom + 16, tick_text(mark, marks), "tick", "middle") for mark in marks]
    unit = text((LEFT + RIGHT) / 2, bottom + 34, f"gain, {UNITS[kind]}", "tick", "middle")
    return [*lines, line(axis(0), TOP - 6, axis(0), bottom, "zero"), *labels, unit]


def _heading(results: Results, kind: Kind, axis: Scale) -> Markup:
    lower = lower_is_better(results, kind)
    worse, better = ("better", "worse") if lower else ("worse", "better")
    zero = min(max(axis(0), LEFT + 60), RIGHT - 60)
    parts = [
        text(zero - 8, TOP - 14, f"← {worse}", "tick", "end"),
        text(zero + 8, TOP - 14, f"{better} →", "tick"),
        text(GAIN, TOP - 14, "gain", "tick", "end"),
        text(INTERVAL, TOP - 14, "95 % interval", "tick", "end"),
        text(P, TOP - 14, "p, corrected", "tick", "end"),
    ]
    mixed = {one.higher_is_better for b in results.measured(kind) if (one := b.measure(kind))} == {True, False}
    return join(parts[2:] if mixed else parts)


def _title(label: str, items: int | None, y: float) -> Markup:
    said = "" if items is None else f"{items:,} items"
    title = fitted(label, LEFT - 100, FONT + 1)
    return join(
        [
            tag("text", tag("title", label), title, x=0, y=y + GROUP - 10, class_="strong"),
            text(LEFT - 24, y + GROUP - 10, said, "tick", "end"),
        ]
    )


def _row(gain: Gain, axis: Scale, y: float) -> Markup:
    base = y + 4.5
    if gain.gain is None:
        return text(axis(0) + 8, base, gain.reason or "", "dim")
    reach = []
    if gain.low is not None and gain.high is not None:
        reach = _reach(shown(gain.low, gain.kind), shown(gain.high, gain.kind), axis, y)
    centre = axis(shown(gain.gain, gain.kind))
    drawing = tag(
        "g",
        tag("title", _tooltip(gain)),
        tag("rect", x=LEFT, y=y - ROW / 2, width=RIGHT - LEFT, height=ROW, class_="hover"),
        *reach,
        *(tag("circle", cx=axis(shown(one, gain.kind)), cy=y + 8, r=2.1, class_="seed") for one in gain.differences),
        tag("circle", cx=centre, cy=y, r=4.5, class_="mark"),
        class_=CLASSES[gain.verdict],
    )
    has = gain.low is not None
    numbers = [
        text(GAIN, base, signed(gain.gain, gain.kind), f"number {CLASSES[gain.verdict]}", "end"),
        text(INTERVAL if has else GAIN + 14, base, interval(gain), "number dim", "end" if has else "start"),
        text(P, base, p_value(gain.p_corrected), "number dim", "end") if has else None,
    ]
    return join([drawing, *numbers])


def _reach(low: float, high: float, axis: Scale, y: float) -> list[Markup]:
    """The interval, with an arrow at an end that lies outside the axis."""
    parts = [line(axis(max(low, axis.low)), y, axis(min(high, axis.high)), y, "reach")]
    if low < axis.low:
        parts.append(
            tag("path", d=f"M{LEFT + 6:.1f} {y - 4:.1f}L{LEFT:.1f} {y:.1f}L{LEFT + 6:.1f} {y + 4:.1f}", class_="reach")
        )
    if high > axis.high:
        parts.append(
            tag(
                "path",
                d=f"M{RIGHT - 6:.1f} {y - 4:.1f}L{RIGHT:.1f} {y:.1f}L{RIGHT - 6:.1f} {y + 4:.1f}",
                class_="reach",
            )
        )
    return parts


def _tooltip(gain: Gain) -> str:
    assert gain.gain is not None and gain.arm_mean is not None and gain.against_mean is not None
    lines = [
        f"{gain.arm} {plain(gain.arm_mean, gain.kind)} {UNITS[gain.kind]}, "
        f"{gain.against} {plain(gain.against_mean, gain.kind)}",
        f"gain {signed(gain.gain, gain.kind)} {interval(gain)}",
        "by seed: "
        + ", ".join(
            f"{seed}: {signed(one, gain.kind)}" for seed, one in zip(gain.seeds, gain.differences, strict=True)
        ),
    ]
    if gain.p is not None:
        lines.append(f"p {p_value(gain.p)}, corrected {p_value(gain.p_corrected)}, {gain.df:.3g} degrees of freedom")
    if gain.p_equivalent is not None:
        lines.append(f"equivalence: p {p_value(gain.p_equivalent)}, corrected {p_value(gain.p_equivalent_corrected)}")
    if gain.seed_sd is not None and gain.item_sd is not None:
        lines.append(
            f"standard deviation from seed to seed {plain(gain.seed_sd, gain.kind)}, "
            f"from item to item {plain(gain.item_sd, gain.kind)} ({gain.items:,} items)"
        )
    if gain.mcnemar:
        each = (f"{one.gained} gained, {one.lost} lost, p {p_value(one.p)}" for one in gain.mcnemar)
        lines.append("items by seed (McNemar): " + "; ".join(each))
    return "\n".join(lines)
