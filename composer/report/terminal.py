"""What a run has found, as tables in the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import fmean

from rich import box
from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from composer.config_search import COST
from composer.findings.cost import PHASES
from composer.findings.measured import Gain, Verdict
from composer.findings.planned import KINDS, Arm, Benchmark, Category, Kind, Trial
from composer.findings.results import Results
from composer.findings.search import SearchFinding
from composer.report.answers import curve_said, dose_said, evidence_said, headline
from composer.report.focus import by_merit, focused, left_out
from composer.report.search_wording import found_said, made_said, setting_said, told
from composer.report.wording import (
    MARKS,
    TITLES,
    UNITS,
    arm_label,
    contrast_label,
    contrast_name,
    count,
    done_said,
    duration,
    half_width,
    hours,
    in_chunks,
    lower_is_better,
    marks_said,
    percent,
    plain,
    progress,
    seeds_said,
    share,
    short_count,
    short_reason,
    signed,
    times,
    verdicts_said,
)

STYLES: dict[Verdict, str] = {
    "better": "bold blue",
    "worse": "bold dark_orange",
    "equivalent": "bold",
    "cannot tell": "",
}
ANSWERED = {"confirmed": "bold blue", "contradicted": "bold dark_orange", "cannot tell": ""}
CELLS: dict[Kind, int] = {"accuracy": 14, "smooth": 16}  # columns of the terminal that one value takes
TOLD = 20  # events that are listed
LEADING = 10  # arms of a search that are listed
BETWEEN = 2  # columns of the terminal between one value and the next, and at a table's two edges


def show(results: Results, console: Console) -> None:
    """Prints gains, scores, mixtures and cost."""
    for part in _parts(results, console.width):
        console.print(part)
        console.print()


def _parts(everything: Results, width: int) -> Iterator[RenderableType]:
    results = focused(everything)
    names = [arm.name for arm in results.arms] + [contrast_name(contrast) for contrast in results.contrasts()]
    # Names stand first in a line and are cut only where they would take more than a third of it.
    first = min(max(map(cell_len, names), default=0), width // 3)
    columns = {kind: max(1, (width - first - BETWEEN) // (CELLS[kind] + BETWEEN)) for kind in KINDS}
    yield _headline(everything)
    yield _legend(results)
    if results.answers:
        yield _answers(results)
    if everything.search is not None:
        yield _search(everything, everything.search, width)
        yield Padding(Text("\n".join(found_said(everything))), (0, 1))
    if only := left_out(everything, results).strip():
        yield Padding(Text(f"{only} All are in report.html.", style="dim"), (0, 1))
    if results.doses or results.curves:
        yield _ladders(results)
    for kind in KINDS:
        for chunk in in_chunks(results.measured(kind), columns[kind]):
            if results.contrasts():
                yield _gains(results, kind, chunk)
        if results.measured(kind) and (everything.contrasts() or everything.search is None):
            yield Padding(Text(verdicts_said(everything, kind), style="dim"), (0, 1))
    for kind in KINDS:
        for chunk in in_chunks(results.measured(kind), columns[kind]):
            yield _scores(results, kind, chunk)
    for places in in_chunks(range(max((len(arm.categories) for arm in results.arms), default=0)), columns["accuracy"]):
        yield _mixtures(results, places)
    yield _cost(results)
    yield Padding(Text(_phases(results), style="dim"), (0, 1))
    if results.events:
        yield _events(results)
    failed = [trial for trial in everything.trials if trial.status == "failed"]
    if failed:
        yield _failed(failed)
    yield _how_to_read(results)


def _headline(results: Results) -> Text:
    return Text.assemble(
        (results.label or results.recipe, "bold"),
        (f"  {results.recipe}" if results.label not in {"", results.recipe} else "", "dim"),
        f"\n{progress(results)} · {len(results.arms)} arms × {seeds_said(results)} seeds · "
        f"model {results.model} · pool {results.pool}",
    )


def _legend(results: Results) -> Table:
    """What the arms and comparisons are, said once: the tables below name them."""
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    proposed = {one.arm for one in results.search.arms if one.proposed} if results.search else set()
    for arm in results.arms:
        if arm.name in proposed:  # its label says no more than its name
            continue
        name = Text(arm.name + (" ◦" if arm.name == results.baseline else ""))
        table.add_row(name, Text(arm_label(arm) + ("  baseline" if arm.name == results.baseline else ""), style="dim"))
    for contrast in results.contrasts():
        if contrast[0] is not None:
            table.add_row(Text(contrast_name(contrast)), Text(contrast_label(results, contrast), style="dim"))
    return table


def _answers(results: Results) -> Table:
    table = _table("Answers", headline(results))
    for header in ("claim", "verdict", "benchmark", "found"):
        table.add_column(Text(header), overflow="fold")
    labels = {one.name: one.label for one in results.benchmarks}
    for answer in results.answers:
        for place, one in enumerate(answer.evidence):
            first = place == 0
            verdict = Text(answer.verdict if first else "", style=ANSWERED[answer.verdict])
            said = Text(evidence_said(answer, one))
            table.add_row(Text(answer.label if first else ""), verdict, Text(labels[one.benchmark]), said)
    return table


def _search(results: Results, finding: SearchFinding, width: int) -> Table:
    """The best arms of a search, with their shares in percent."""
    several = len(finding.objectives) > 1
    table = _table("Search", made_said(finding))
    table.add_column("front" if several else "rank", justify="right")
    table.add_column("arm")
    for objective in finding.objectives:
        points = "" if objective.name == COST else ", points"
        table.add_column(
            Text(f"{objective.label}{points}"), justify="right", overflow="fold", max_width=CELLS["accuracy"]
        )
    categories = [one.name for one in results.arms[0].categories]
    room = width - 14 - 10 - sum(CELLS["accuracy"] + BETWEEN for _ in finding.objectives) - 11 * len(finding.settings)
    for name in categories:
        table.add_column(
            Text(name), justify="right", overflow="fold", max_width=max(5, room // len(categories) - BETWEEN)
        )
    costly = any(one.name == COST for one in finding.objectives)
    for name in (*finding.settings, *([] if costly else ["tokens"])):
        table.add_column(Text(name), justify="right", overflow="fold", max_width=9)
    planned = {one.name: one for one in results.arms}
    for one in by_merit(finding)[:LEADING]:
        arm = planned[one.arm]
        first = ("●" if one.on_front else "") if several else "–" if one.rank is None else str(one.rank)
        shares = [f"{100 * part.rows / arm.rows:.1f}" if part.rows else "–" for part in arm.categories]
        settings = [setting_said(one.settings[name]) if name in one.settings else "–" for name in finding.settings]
        values = [told(finding, one, place) for place in range(len(finding.objectives))]
        style = "bold blue" if one.may_be_best else ""
        table.add_row(
            first,
            Text(one.arm + ("" if one.state == "finished" else f" {one.state}")),
            *(Text(value, style=style) for value in values),
            *(Text(cell) for cell in (*shares, *settings, *([] if costly else [short_count(arm.tokens)]))),
        )
    return table


def _ladders(results: Results) -> Table:
    """Dose-responses and scaling curves by accuracy, a line each."""
    table = _table("Doses and sizes", "accuracy")
    for header in ("design", "benchmark", "found"):
        table.add_column(Text(header), overflow="fold")
    labels = {one.name: one.label for one in results.benchmarks}
    told = [(one.design, one.benchmark, dose_said(one)) for one in results.doses if one.kind == "accuracy"]
    told += [(one.design, one.benchmark, curve_said(one)) for one in results.curves if one.kind == "accuracy"]
    before = None
    for design, benchmark, said in told:
        table.add_row(Text(design if design != before else ""), Text(labels[benchmark]), Text(said))
        before = design
    return table


def _table(title: str, note: str = "") -> Table:
    table = Table(
        box=box.SIMPLE_HEAD, title_justify="left", pad_edge=False, collapse_padding=True, padding=(0, 1), title_style=""
    )
    table.title = Text.assemble((title, "bold"), (f"  {note}" if note else "", "dim"))
    return table


def _value_column(table: Table, header: str, width: int) -> None:
    table.add_column(Text(header, no_wrap=False), justify="right", no_wrap=True, max_width=width)


def _gains(results: Results, kind: Kind, benchmarks: Sequence[Benchmark]) -> Table:
    direction = ", lower is better" if lower_is_better(results, kind) else ""
    over = f"over {results.baseline}" if results.baseline else "of comparisons"
    table = _table(f"Gains {over} · {TITLES[kind].lower()}", f"{UNITS[kind]}{direction}, ± is the 95 % interval")
    table.add_column()
    for benchmark in benchmarks:
        _value_column(table, benchmark.label, CELLS[kind])
    contrasts = results.contrasts()
    for place, contrast in enumerate(contrasts):
        if contrast[0] is not None and place and contrasts[place - 1][0] is None:
            table.add_section()
        cells = [_gain(results.gain(contrast, one.name, kind)) for one in benchmarks]
        table.add_row(_named(contrast_name(contrast)), *cells)
    return table


def _gain(gain: Gain) -> Text:
    if gain.gain is None:
        return Text("–", style="dim", no_wrap=True)
    half = half_width(gain)
    text = Text(signed(gain.gain, gain.kind), style=STYLES[gain.verdict], no_wrap=True)
    if half is None:
        return text.append(f" {short_reason(gain)}", style="dim")
    return text.append(f" ± {half} {MARKS[gain.verdict] or ' '}")


def _scores(results: Results, kind: Kind, benchmarks: Sequence[Benchmark]) -> Table:
    direction = ", lower is better" if lower_is_better(results, kind) else ""
    table = _table(
        f"Scores · {TITLES[kind].lower()}", f"{UNITS[kind]}{direction}, mean over seeds ± standard deviation"
    )
    table.add_column("arm")
    for benchmark in benchmarks:
        _value_column(table, benchmark.label, CELLS[kind])
    for arm in results.arms:
        cells = []
        for benchmark in benchmarks:
            score = results.score(arm.name, benchmark.name, kind)
            sd = f" ± {plain(score.sd, kind)}" if score.sd is not None else ""
            cells.append(Text("–" if score.mean is None else plain(score.mean, kind) + sd, no_wrap=True))
        table.add_row(_arm(arm, results), *cells)
    return table


def _mixtures(results: Results, places: Sequence[int]) -> Table:
    table = _table("Mixtures", "rows")
    table.add_column("arm")
    for place in places:
        _value_column(table, results.arms[0].categories[place].name, CELLS["accuracy"])
    _value_column(table, "all", CELLS["accuracy"])
    for arm in results.arms:
        cells = [_part(arm.categories[place], arm.rows) for place in places]
        table.add_row(_arm(arm, results), *cells, Text(count(arm.rows)))
    return table


def _part(category: Category, all_rows: int) -> Text:
    if not category.rows and not category.asked:
        return Text("–", style="dim")
    text = Text(count(category.rows), no_wrap=True).append(f" {percent(category.rows / all_rows):>5}", style="dim")
    if category.asked != category.rows:
        text.append(f"\nof {count(category.asked)}", style="dim")
    return text


def _cost(results: Results) -> Table:
    against = f"× is relative to {results.baseline}" if results.baseline else ""
    table = _table("Cost of one trial", against)
    table.add_column("arm")
    for header in ("rows", "tokens", "", "training", "", "in all", ""):
        _value_column(table, header, CELLS["accuracy"])
    for arm, cost in zip(results.arms, results.cost, strict=True):
        ratio = cost.relative
        relative = (
            [times(one) for one in (ratio.tokens, ratio.train_seconds, ratio.total_seconds)] if ratio else [""] * 3
        )
        table.add_row(
            _arm(arm, results),
            count(arm.rows),
            short_count(arm.tokens),
            Text(relative[0], style="dim"),
            duration(cost.train_seconds),
            Text(relative[1], style="dim"),
            duration(cost.total_seconds),
            Text(relative[2], style="dim"),
        )
    return table


def _phases(results: Results) -> str:
    """Where the time of a trial went, in the mean over the arms, and how well the machine was used."""
    known = [cost for cost in results.cost if cost.seconds]
    if not known:
        return "No trial has been timed yet."

    def mean(name: str) -> float | None:
        values = [value for cost in known if (value := getattr(cost, name)) is not None]
        return fmean(values) if values else None

    phases = [phase for phase in PHASES if all(phase in cost.seconds for cost in known)]
    spent = ", ".join(f"{phase} {duration(fmean(cost.seconds[phase] for cost in known))}" for phase in phases)
    used = f"useful tokens {share(mean('useful'))}, MFU {share(mean('mfu'))}, GPU-hours {hours(mean('gpu_hours'))}"
    return f"Mean trial: {spent}; {used}."


def _events(results: Results) -> RenderableType:
    """What monitors told, a line each."""
    told = [f"{one.arm}, seed {one.seed}: {one.told}; {done_said(one)}" for one in results.events]
    more = f"and {len(told) - TOLD} more, in report.html" if len(told) > TOLD else ""
    title = Text("What monitors told", style="bold")
    return Group(title, *(Padding(Text(line), (0, 1)) for line in [*told[:TOLD], *([more] if more else [])]))


def _failed(trials: Sequence[Trial]) -> Table:
    table = _table("Failed trials")
    table.add_column("arm")
    table.add_column("seed", justify="right")
    table.add_column("error", overflow="fold")
    for trial in trials:
        table.add_row(Text(trial.arm), str(trial.seed), Text(trial.error or ""))
    return table


def _how_to_read(results: Results) -> Text:
    sizes = " and ".join(f"{family.size} {family.kind}" for family in results.families) or "no"
    return Text(
        f"How to read: a gain estimates {results.rules.estimand}. {marks_said(results)} "
        f"Corrected over {sizes} gains; “cannot tell” is not “no effect”.",
        style="dim",
    )


def _arm(arm: Arm, results: Results) -> Text:
    return _named(arm.name + (" ◦" if arm.name == results.baseline else ""))


def _named(name: str) -> Text:
    return Text(name, no_wrap=True, overflow="ellipsis")
