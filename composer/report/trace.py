"""Why a step of training was as it was, in the terminal: its rows, what is unusual in them, the filter against it."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from composer.findings.trace.found import Cause, Overview, Proposal, Removed, Trace, TracedRow
from composer.findings.trace.ranking import LEVEL
from composer.findings.trace.separation import Separation
from composer.report.plain import plain_table
from composer.report.wording import count, p_value, percent

NOTHING = "–"
MARK = "✗"  # a row that the proposed filter throws out
WIDE = 120  # columns of a terminal in which the thinking is shown, too
CAUSES = 8  # that are listed
# What the reasons of filters are said of, where they do not say it themselves.
SAID = {
    "korean_response": "{} after </think>",
    "korean_prompt": "{} in the question",
    "thinking_language": "thinking {}",
    "one_thinking": "thinking: {}",
    "answer": "answer: {}",
    "tokens": "{} in tokens",
    "characters": "{} in characters",
}
NUMBERS = {
    "tokens": "tokens",
    "hangul_prompt": "Hangul in the question",
    "hangul_thinking": "Hangul in the thinking",
    "hangul_answer": "Hangul after </think>",
}


def show_overview(found: Overview, console: Console) -> None:
    """Prints what the monitors of trials told."""
    table = plain_table("events", "trial", "step", "", "")
    for column in table.columns[2:]:
        column.justify = "left"
    for trial in found.trials:
        shown = f"{trial.arm} seed {trial.seed}"
        for event in trial.events:
            table.add_row(Text(shown), count(event.step), Text(event.kind), Text(event.told))
            shown = ""
    quiet = [trial for trial in found.trials if not trial.events]
    if len(quiet) == 1:
        told = f"nothing told in {_so_far(quiet[0].done, quiet[0].steps)}"
        table.add_row(Text(f"{quiet[0].arm} seed {quiet[0].seed}"), NOTHING, "", Text(told))
    elif quiet:
        table.add_row(f"{len(quiet)} trials", NOTHING, "", "nothing told")
    console.print(table)
    first = found.trials[0]
    command = found.suggested or f"composer trace {found.run} trial={first.key} step=1"
    told = "what was in the rows: " if found.suggested else f"any step, to {count(first.steps)}, can be asked for: "
    console.print(Text(f"\n{told}") + Text(command, style="bold"), soft_wrap=True)


def show_trace(found: Trace, rows: int, console: Console) -> None:
    """Prints an explanation with at most so many rows."""
    for part in _parts(found, rows, console.width):
        console.print(part, soft_wrap=isinstance(part, Text) and part.no_wrap is True)
        console.print()


def _parts(found: Trace, rows: int, width: int) -> Iterator[RenderableType]:
    yield _headline(found)
    yield _steps(found, rows)
    yield _rows(found, rows, width)
    if found.symptom is not None:
        yield Text(_symptom_said(found, found.symptom))
    if any(one.stands_out for one in found.causes):
        yield _causes(found)
    yield Text(_compared_said(found), style="dim")
    if found.proposal is not None:
        yield _proposal(found, found.proposal)
    elif any(one.stands_out for one in found.causes):
        yield Text("No filter would keep these out without throwing out much of a category beside them.")


def _headline(found: Trace) -> Text:
    text = Text(f"{_named(found).capitalize()} of {count(found.of)}", style="bold")
    text.append(f"  {found.arm}, seed {found.seed}, trial {found.key}", style="dim not bold")
    for event in found.events:
        text.append(f"\n{event.kind} at step {event.step}: {event.told}", style="not bold dark_orange")
    return text


def _steps(found: Trace, most: int) -> RenderableType:
    known = [one for one in found.steps if one.loss is not None]
    if not known:
        return Text("This trial has not got so far: what follows is known without running anything.", style="dim")
    table = plain_table("", "step", "loss", "before", "gradient", "learning rate", "tokens")
    table.title = None
    for one in known[:most]:
        numbers = [_loss(value) for value in (one.loss, one.usual, one.grad_norm)]
        table.add_row(count(one.step), *numbers, _short(one.learning_rate), count(one.tokens))
    return table


def _rows(found: Trace, most: int, width: int) -> Table:
    shown = found.rows[:most]
    more = len(found.rows) - len(shown)
    table = plain_table(f"rows ({more} more by --rows {len(found.rows)})" if more else "rows", "")
    known = any(row.loss is not None for row in shown)
    spans = found.last > found.first
    for name in (*(["step"] if spans else []), *(["loss", "usual"] if known else []), "tokens"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("category", no_wrap=True, max_width=16)
    texts = ("prompt", "thinking", "answer") if width >= WIDE else ("prompt", "answer")
    for name in texts:
        table.add_column(name, no_wrap=True, overflow="ellipsis", ratio=1)
    table.expand = True
    for row in shown:
        numbers = [*([count(row.step)] if spans else []), *([_loss(row.loss), _loss(row.usual)] if known else [])]
        table.add_row(
            Text(MARK if row.rejected else "", style="bold dark_orange"), *numbers, count(row.tokens),
            Text(row.category), *(Text(_line(row, name)) for name in texts),
        )  # fmt: skip
    return table


def _line(row: TracedRow, name: str) -> str:
    """A text in one line; of a long one the beginning, which is all that a column can show."""
    return " ".join(str(getattr(row, name)).split())


def _symptom_said(found: Trace, symptom: Separation) -> str:
    """The loss: what is to be explained, and so no cause."""
    excess = [row.loss - row.usual for row in found.rows if row.loss is not None and row.usual is not None]
    middle = median(excess)
    side = "above" if middle >= 0 else "below"
    head = "Symptom: the" if symptom.p < LEVEL and middle > 0 else "No symptom: the"
    return (
        f"{head} rows' median loss is {abs(middle):.2f} {side} what is usual for their categories at the steps around "
        f"({symptom.separation:.2f} apart, p {_p(symptom.p)})."
    )


def _causes(found: Trace) -> Table:
    table = plain_table("what is unusual in these rows", "", "here", "others", "apart", "by chance")
    for one in [cause for cause in found.causes if cause.stands_out][:CAUSES]:
        separated = one.separated
        table.add_row(
            Text(cause_said(one)), percent(separated.inside), percent(separated.outside), f"{separated.separation:.2f}",
            p_value(one.p_corrected),
        )  # fmt: skip
    return table


def cause_said(cause: Cause) -> str:
    """A feature in words, as `no Korean after </think> (korean_response)`."""
    if cause.kind == "filter":
        name, reason = cause.feature.split(": ", 1)
        return f"{SAID.get(name, '{}').format(reason)} ({name})"
    if cause.kind == "content":
        return "said again in the mixture"
    cut = cause.separated.cut
    if cut is None:
        return cause.feature
    told = count(cut) if cause.feature == "tokens" else percent(cut)
    return f"{NUMBERS[cause.feature]} {'≥' if cause.separated.above else '≤'} {told}"


def _compared_said(found: Trace) -> str:
    """What the rows were compared with, and how far chance goes."""
    compared = found.compared
    told = f"Compared with the {count(compared.rows)} other rows of the mixture"
    if compared.tokens is not None:
        low, high = compared.tokens
        told += (
            f" that are nearest in length ({count(low)} to {count(high)} tokens), as steps are of rows of like length"
        )
    told += f", by {compared.features} features"
    best = found.causes[0] if found.causes else None
    if best is not None and best.stands_out:
        return f"{told}; “by chance” is how often one of so many is as far apart in rows drawn at random."
    if best is None:
        return f"Nothing in these rows stands out. {told}."
    often = "always" if best.p_corrected >= 1 else f"in {percent(best.p_corrected)} of steps"
    return (
        f"Nothing in these rows stands out. {told}; the best, {cause_said(best)}, is {best.separated.separation:.2f} "
        f"apart, as by chance one of so many is {often}."
    )


def _proposal(found: Trace, proposal: Proposal) -> RenderableType:
    text = Text("A filter that would have kept them out", style="bold", no_wrap=True)
    text.append(", below `filters:` of the pool's config", style="not bold")
    for line in proposal.yaml.splitlines():
        text.append(f"\n  {line}", style="bold blue")
    text.append(f"\nthrows out {_of(proposal.step)} of {_named(found)}", style="not bold")
    text.append(f"\n           {_of(proposal.mixture)} of the mixture{_parts_said(proposal.mixture)}", style="not bold")
    if proposal.pool is not None:
        text.append(f"\n           {_of(proposal.pool)} of the pool{_parts_said(proposal.pool)}", style="not bold")
    else:
        text.append(f"\nthe pool was not counted: {proposal.untold}", style="not bold dim")
    return text


def _of(removed: Removed) -> str:
    return f"{count(removed.removed)} of {count(removed.rows)} rows"


def _parts_said(removed: Removed) -> str:
    told = [
        f"{count(of.removed)} of {count(of.rows)} ({percent(of.removed / max(of.rows, 1))}) of {name}"
        for name, of in removed.categories.items()
    ]
    return f": {', '.join(told)}"


def _named(found: Trace) -> str:
    return f"step {found.first}" if found.first == found.last else f"steps {found.first} to {found.last}"


def _so_far(done: int, steps: int) -> str:
    return f"{count(done)} of {count(steps)} steps" if done < steps else f"{count(steps)} steps"


def _loss(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.2f}"


def _short(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.2g}"


def _p(p: float) -> str:
    told = p_value(p)
    return told if told.startswith("<") else f"= {told}"
