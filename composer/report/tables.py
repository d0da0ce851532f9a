"""The page's tables. Every column sorts by the value behind its text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from composer.findings.cost import PHASES
from composer.findings.measured import Gain, Ratio, Score
from composer.findings.planned import KINDS, Kind
from composer.findings.results import Results
from composer.report.markup import Markup, join, tag
from composer.report.wording import (
    CLASSES,
    MARKS,
    TITLES,
    UNITS,
    arm_label,
    contrast_label,
    contrast_name,
    count,
    duration,
    half_width,
    hours,
    lower_is_better,
    noisy,
    percent,
    plain,
    share,
    short_count,
    short_reason,
    signed,
    times,
)

USEFUL = "the share of real tokens among all that were computed; the rest is padding"
MFU = "the share of the floating-point operations that the GPU could have done; – on a CPU"


@dataclass(frozen=True)
class Cell:
    """One cell of a table.

    Attributes:
        content: What is shown.
        value: What its column sorts by; None sorts last.
        class_: Its class in `page.css`.
        title: Its tooltip.
    """

    content: str
    value: float | str | None = None
    class_: str = ""
    title: str | None = None


@dataclass(frozen=True)
class Header:
    """The head of a benchmark's column.

    Attributes:
        label: What is shown.
        noisy: Why the benchmark is too noisy to compare arms by; None where it is not.
    """

    label: str
    noisy: str | None = None


def table(headers: Sequence[str | Header], rows: Iterable[Sequence[Cell]], caption: str = "") -> Markup:
    """A sortable table; the first column is text, the others are numbers where a value is one or none is known."""
    body = [list(row) for row in rows]
    columns = [[row[place] for row in body] for place in range(len(headers))]
    numeric = [
        any(isinstance(cell.value, int | float) for cell in cells) or {cell.content for cell in cells} == {"–"}
        for cells in columns
    ]
    head = [_head(header, n) for header, n in zip(headers, numeric, strict=True)]
    lines = [tag("tr", *(_cell(cell, n) for cell, n in zip(row, numeric, strict=True))) for row in body]
    whole = tag(
        "table",
        tag("caption", caption) if caption else None,
        tag("thead", tag("tr", *head)),
        tag("tbody", *lines),
        class_="sortable",
    )
    return tag("div", whole, class_="wide")


def _head(header: str | Header, numeric: bool) -> Markup:
    told = header if isinstance(header, Header) else Header(header)
    noisy = tag("span", "too noisy", class_="badge") if told.noisy else None
    return tag("th", told.label, noisy, scope="col", class_="n" if numeric else None, title=told.noisy)


def gains(results: Results, kind: Kind) -> Markup:
    """Every contrast × benchmark with its gain and half the width of its interval."""
    benchmarks = results.measured(kind)
    rows = []
    for place, contrast in enumerate(results.contrasts()):
        name = _name(contrast_name(contrast), contrast_label(results, contrast), place)
        rows.append([name, *(_gain(results.gain(contrast, one.name, kind)) for one in benchmarks)])
    return table(["gain of", *_heads(results, kind)], rows)


def scores(results: Results) -> Markup:
    """Every arm × benchmark with its mean over seeds and standard deviation, one table a kind."""
    parts = []
    for kind in KINDS:
        benchmarks = results.measured(kind)
        if not benchmarks:
            continue
        rows = []
        for place, arm in enumerate(results.arms):
            found = [results.score(arm.name, one.name, kind) for one in benchmarks]
            cells = [_score(one, results.signal(one.benchmark, kind).verdict == "too noisy") for one in found]
            rows.append([_name(arm.name, arm_label(arm), place, arm.name == results.baseline), *cells])
        direction = ", lower is better" if lower_is_better(results, kind) else ""
        caption = f"{TITLES[kind]}, {UNITS[kind]}{direction}"
        parts.append(table(["arm", *_heads(results, kind)], rows, caption))
    return join(parts)


def mixtures(plan: Mapping[str, Any], results: Results) -> Markup:
    """Rows of every arm by category."""
    rows = []
    for place, arm in enumerate(results.arms):
        mixture = plan["arms"][arm.name]["mixture"]
        cells = [_part(mixture["categories"].get(category)) for category in plan["categories"]]
        totals = [Cell(count(mixture[name]), mixture[name]) for name in ("rows", "tokens", "repeated")]
        rows.append([_name(arm.name, arm_label(arm), place, arm.name == results.baseline), *cells, *totals])
    return table(["arm", *plan["categories"], "all rows", "tokens", "repeated"], rows)


def cost(results: Results) -> Markup:
    """What one trial of every arm cost, and as a multiple of the baseline."""
    rows = []
    for place, (arm, one) in enumerate(zip(results.arms, results.cost, strict=True)):
        ratio = one.relative or Ratio(None, None, None, None)
        rows.append(
            [
                _name(arm.name, arm_label(arm), place, arm.name == results.baseline),
                Cell(_beside(count(arm.rows), ratio.rows), arm.rows),
                Cell(_beside(short_count(arm.tokens), ratio.tokens), arm.tokens),
                Cell(count(arm.steps), arm.steps),
                Cell(_beside(duration(one.train_seconds), ratio.train_seconds), one.train_seconds),
                Cell(_beside(duration(one.total_seconds), ratio.total_seconds), one.total_seconds),
                Cell(hours(one.gpu_hours), one.gpu_hours),
            ]
        )
    return table(["arm", "rows", "tokens trained", "steps", "training", "in all", "GPU-hours"], rows)


def phases(results: Results) -> Markup:
    """Where the time of one trial of every arm went, and how well the machine was used."""
    rows = [
        [
            _name(arm.name, arm_label(arm), place, arm.name == results.baseline),
            *(Cell(duration(one.seconds.get(phase)), one.seconds.get(phase)) for phase in PHASES),
            Cell(short_count(one.tokens_per_second), one.tokens_per_second),
            Cell(share(one.useful), one.useful, title=USEFUL),
            Cell(share(one.mfu), one.mfu, title=MFU),
            Cell(count(one.peak_gpu_memory_mb or one.peak_memory_mb), one.peak_gpu_memory_mb or one.peak_memory_mb),
        ]
        for place, (arm, one) in enumerate(zip(results.arms, results.cost, strict=True))
    ]
    return table(["arm", *PHASES, "tokens/s", "useful", "MFU", "peak MB"], rows, "Where the time went")


def trials(results: Results) -> Markup:
    """Every planned trial and what became of it."""
    rows = [
        [
            Cell(one.arm, one.arm),
            Cell(str(one.seed), one.seed),
            Cell(one.status, one.status, one.status),
            Cell(tag("code", one.key), one.key),
        ]
        for one in results.trials
    ]
    return table(["arm", "seed", "status", "key, the folder in trials/"], rows)


def _heads(results: Results, kind: Kind) -> list[Header]:
    return [Header(one.label, noisy(results, one, kind)) for one in results.measured(kind)]


def _score(score: Score, noisy: bool) -> Cell:
    if score.mean is None:
        return Cell("–", None, "dim", "no finished trial")
    spread = None if score.sd is None else f" ± {plain(score.sd, score.kind)}"
    seeds = ", ".join(
        f"seed {seed}: {plain(value, score.kind)}" for seed, value in zip(score.seeds, score.values, strict=True)
    )
    cut = f" {percent(score.unfinished)} unfinished" if score.unfinished else None
    content = join([plain(score.mean, score.kind), _quiet(spread), _quiet(cut)])
    return Cell(content, score.mean, "dim" if noisy else "", seeds)


def _gain(gain: Gain) -> Cell:
    if gain.gain is None:
        return Cell("–", None, "dim", gain.reason)
    half = half_width(gain)
    mark = f" {MARKS[gain.verdict]}" if MARKS[gain.verdict] else None
    spread = f" ± {half}" if half else f" {short_reason(gain)}"
    content = join([signed(gain.gain, gain.kind), _quiet(spread), mark])
    return Cell(content, gain.gain, CLASSES[gain.verdict], gain.reason or gain.verdict)


def _part(category: Mapping[str, Any] | None) -> Cell:
    if category is None:
        return Cell("–", 0, "dim")
    asked = f" of {count(category['asked'])}" if category["asked"] != category["rows"] else ""
    content = join([count(category["rows"]), _quiet(f" {percent(category['share'])}{asked}")])
    return Cell(content, category["rows"], "" if category["rows"] else "dim")


def _name(name: str, label: str, place: int, baseline: bool = False) -> Cell:
    content = join([tag("b", name), _quiet(f" {label}" if label else None), _badge(baseline)])
    return Cell(content, f"{place:06d}")


def _badge(baseline: bool) -> Markup | None:
    return tag("span", "baseline", class_="badge") if baseline else None


def _beside(content: str, ratio: float | None) -> Markup:
    return join([content, _quiet(None if ratio is None else f" {times(ratio)}")])


def _quiet(content: str | None) -> Markup | None:
    return tag("span", content, class_="dim") if content else None


def _cell(cell: Cell, numeric: bool) -> Markup:
    classes = " ".join(one for one in ("n" if numeric else "", cell.class_) if one)
    value = None if cell.value is None else str(cell.value)
    return tag("td", cell.content, class_=classes or None, data_value=value, title=cell.title or None)
