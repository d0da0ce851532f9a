"""The page's section on a search: what was found, the best so far, the front, and all arms, the best first."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from composer.config_search import COST
from composer.findings.results import Results
from composer.findings.search import Objective, SearchFinding, Tried
from composer.report import tables
from composer.report.focus import MANY, by_merit
from composer.report.markup import Markup, join, tag
from composer.report.pareto import LEFT, Spot, panel, upward
from composer.report.search_wording import found_said, made_said, setting_said, told, value_said
from composer.report.svg import WIDTH, Scale, chart, line, text, text_width, tick_text, ticks
from composer.report.wording import count, short_count

LONG = 30  # rows of a table that is not folded
TOP, PLOT, BOTTOM = 30.0, 260.0, 46.0
SO_FAR = (
    "Dots are arms in the order in which they were tried, mean over seeds ± standard error; the line is the highest "
    "mean so far."
)
SURE = (
    "Noise is what seeds do on these items. It is taken to be the same for every arm and pooled over all of them, so "
    "more can be told apart here than by gains, which know of two arms alone."
)
MAY_BE = "Blue arms may be the best of all: their seeds cannot tell them from the highest mean."


def search(results: Results) -> list[Markup]:
    """The section; nothing without a search."""
    finding = results.search
    if finding is None:
        return []
    parts: list[Markup | None] = [
        _note(made_said(finding)),
        tag("ul", *(tag("li", sentence) for sentence in found_said(results)), class_="said"),
        _note(SURE) if finding.best is not None and finding.best.margin is not None else None,
    ]
    tried = [one for one in finding.arms if one.values]
    if len(finding.objectives) == 1 and tried:
        parts += [tag("h3", "Best so far"), _note(f"{SO_FAR} {MAY_BE}"), _so_far(finding, tried)]
    if len(finding.objectives) == 2 and len(tried) > 1:
        parts += [tag("h3", "Pareto front"), _front(finding, tried)]
    parts += [tag("h3", "Arms, the best first"), *_tables(results, finding)]
    return [part for part in parts if part is not None]


def _tables(results: Results, finding: SearchFinding) -> list[Markup]:
    arms = by_merit(finding)
    if len(arms) <= LONG:
        return [_table(results, finding, arms)]
    shown = arms[: LONG - 10]
    return [
        _note(f"The first {len(shown)} of {len(arms)}."),
        _table(results, finding, shown),
        tag("details", tag("summary", f"All {len(arms)} arms"), _table(results, finding, arms)),
    ]


def _table(results: Results, finding: SearchFinding, arms: Sequence[Tried]) -> Markup:
    single = len(finding.objectives) == 1
    planned = {one.name: one for one in results.arms}
    sizes = len({one.rows for one in results.arms}) > 1
    costly = any(one.name == COST for one in finding.objectives)
    rows = []
    for place, one in enumerate(arms):
        arm = planned[one.arm]
        rank = _rank(one, single)
        cells = [rank, _named(one, place), *(_value(finding, one, i) for i in range(len(finding.objectives)))]
        cells += [_share(category.rows / arm.rows if arm.rows else 0.0) for category in arm.categories]
        cells += [tables.Cell(count(arm.rows), arm.rows)] if sizes else []
        cells += [_setting(one, name) for name in finding.settings]
        cells += [] if costly else [tables.Cell(short_count(arm.tokens), arm.tokens)]
        rows.append(cells)
    headers = ["rank" if single else "front", "arm", *map(_headed, finding.objectives)]
    headers += [f"{category.name}, %" for category in results.arms[0].categories]
    headers += [*(["rows"] if sizes else []), *finding.settings, *([] if costly else ["tokens"])]
    return tables.table(headers, rows)


def _headed(objective: Objective) -> str:
    return objective.label if objective.name == COST else f"{objective.label}, points ± s.e."


def _rank(one: Tried, single: bool) -> tables.Cell:
    if single:
        return tables.Cell("–" if one.rank is None else str(one.rank), one.rank, "dim")
    return tables.Cell("●" if one.on_front else "", int(not one.on_front), title="on the front" * one.on_front or None)


def _named(one: Tried, place: int) -> tables.Cell:
    said = [] if one.proposed else ["declared"]
    said += [] if one.state == "finished" else [one.state]
    badges = (tag("span", word, class_="badge") for word in said)
    return tables.Cell(join([tag("b", one.arm), *badges]), f"{place:06d}")


def _value(finding: SearchFinding, one: Tried, place: int) -> tables.Cell:
    objective = finding.objectives[place]
    if not one.values:
        return tables.Cell("–", None, "dim", "no finished trial")
    by_seed = (
        f"seed {seed}: {value_said(objective, of[place])}" for seed, of in zip(one.seeds, one.by_seed, strict=True)
    )
    marked = "better" if one.may_be_best else "alike" if one.on_front else "" if one.ranked else "dim"
    value = -one.values[place] if objective.name == COST else one.values[place]
    return tables.Cell(told(finding, one, place), value, marked, ", ".join(by_seed))


def _share(share: float) -> tables.Cell:
    return tables.Cell(f"{100 * share:.1f}" if share else "–", share, "" if share else "dim")


def _setting(one: Tried, name: str) -> tables.Cell:
    if name not in one.settings:
        return tables.Cell("as the recipe", None, "dim")
    value = one.settings[name]
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return tables.Cell(setting_said(value), value if number else str(value))


def _so_far(finding: SearchFinding, tried: Sequence[Tried]) -> Markup:
    declared = len(finding.arms) - finding.made
    places = {one.arm: float(place - declared) for place, one in enumerate(finding.arms)}
    across = Scale(-declared - 0.7, max(finding.made, 1) - 0.3, LEFT + 12, WIDTH - 12)
    spots = [
        Spot(one.arm, places[one.arm], *_points(one, 0), told=told(finding, one, 0), on_front=False) for one in tried
    ]
    up = upward(spots, TOP, PLOT)
    marks = ticks(up.low, up.high, 6)
    parts = [line(across.start, up(mark), across.end, up(mark), "grid") for mark in marks]
    parts += [text(across.start - 8, up(mark) + 4, tick_text(mark, marks), "tick", "end") for mark in marks]
    steps = [step for step in ticks(0, across.high, 12) if step == round(step)]
    parts += [text(across(step), up.start + 17, f"{step:.0f}", "tick", "middle") for step in steps]
    parts.append(text((across.start + across.end) / 2, up.start + 34, "proposal", "tick", "middle"))
    parts.append(text(across.start, TOP - 14, f"{finding.objectives[0].label}, points", "strong"))
    if finding.sampler != "random" and 0 < finding.startup < finding.made:
        parts.append(line(across(finding.startup - 0.5), TOP, across(finding.startup - 0.5), up.start, "rule"))
        parts.append(text(across(finding.startup - 0.5) + 6, up.start - 8, "learned from here on →", "tick"))
    steps_up = [(places[one.arm], 100 * one.best_so_far) for one in tried if one.best_so_far is not None]
    if steps_up:
        parts.append(tag("path", d=_stairs([*steps_up, (across.high, steps_up[-1][1])], across, up), class_="curve"))
    best = finding.best.arm if finding.best is not None else None
    named = {best} | ({one.arm for one in finding.arms if not one.proposed} if declared <= MANY else set())
    parts += [_dot(finding, one, spot, one.arm in named, across, up) for one, spot in zip(tried, spots, strict=True)]
    absent = [one for one in finding.arms if not one.values]
    parts += [
        tag(
            "g",
            tag("title", f"{one.arm}: {one.state}"),
            text(across(places[one.arm]), up.start - 5, "×", "tick", "middle"),
        )
        for one in absent
    ]
    return chart(TOP + PLOT + BOTTOM, "The objective of each arm in the order tried, and the best so far", *parts)


def _stairs(points: Sequence[tuple[float, float]], across: Scale, up: Scale) -> str:
    """A path that goes to the right before it goes up."""
    corners = [points[0]]
    for (_, before), (x, y) in itertools.pairwise(points):
        corners += [(x, before), (x, y)] if y != before else [(x, y)]
    return "M" + "L".join(f"{across(x):.1f} {up(y):.1f}" for x, y in corners)


def _dot(finding: SearchFinding, one: Tried, spot: Spot, named: bool, across: Scale, up: Scale) -> Markup:
    x, y = across(spot.x), up(spot.y)
    reach = spot.spread
    end = x + text_width(one.arm, 12) + 10 > across.end
    return tag(
        "g",
        tag("title", f"{one.arm}: {spot.told} points, {len(one.seeds)} seeds"),
        None if reach is None else line(x, up(spot.y - reach), x, up(spot.y + reach), "spread"),
        tag("circle", cx=x, cy=y, r=4.5 if one.ranked else 2.5, class_="point"),
        text(x - 8 if end else x + 8, y - 8, one.arm, "tick", "end" if end else "start") if named else None,
        class_="better" if one.may_be_best else "open" if one.proposed else "alike",
    )


def _points(one: Tried, place: int) -> tuple[float, float | None]:
    """An arm's mean and standard error, in points."""
    se = one.se[place]
    return 100 * one.values[place], None if se is None else 100 * se


def _front(finding: SearchFinding, tried: Sequence[Tried]) -> Markup:
    """Both objectives against each other; tokens, where they are one, along the horizontal axis."""
    first, second = (0, 1) if finding.objectives[0].name == COST else (1, 0)
    below, title = finding.objectives[first], finding.objectives[second]
    costs = below.name == COST
    few = len(tried) <= MANY
    spots = []
    for one in tried:
        x = -one.values[first] if costs else 100 * one.values[first]
        values = (told(finding, one, place) for place in range(2))
        said = ", ".join(f"{of.label} {value}" for of, value in zip(finding.objectives, values, strict=True))
        named = few or one.on_front or not one.proposed
        y, spread = _points(one, second)
        spots.append(Spot(one.arm, x, y, spread, f"{one.arm}: {said}", one.on_front, named, one.proposed and not few))
    low, high = min(spot.x for spot in spots), max(spot.x for spot in spots)
    margin = 0.06 * (high - low) or 1.0
    across = Scale(0 if costs else low - margin, high + margin, LEFT + 12, WIDTH - 12)
    unit = "" if costs else ", points"
    drawn = panel(
        f"{title.label}, points", below.label + unit, spots, across, upward(spots, TOP, PLOT),
        short_count if costs else None,
    )  # fmt: skip
    return chart(TOP + PLOT + BOTTOM, "The two objectives against each other; the line is the Pareto front", *drawn)


def _note(content: str) -> Markup:
    return tag("p", content, class_="note")
