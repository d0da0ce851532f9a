"""What a fit has found, as tables in the terminal."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from rich import box
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from composer.findings.fit import OBJECTIVE, Fit, Predicted, Told
from composer.report.wording import MINUS, in_chunks, percent

CELL, FIRST = 18, 24  # columns of the terminal that a value and a name take
NOTHING = "–"


def show_fit(found: Fit, console: Console) -> None:
    """Prints how far predictions hold, the recommended mixture, what categories move, and what was asked."""
    for part in _parts(found, console.width):
        if isinstance(part, Table):
            console.print(part.title, highlight=False)  # a table's own title wraps at the table's width
            part.title = None
        console.print(part, highlight=False)
        console.print()


def _parts(found: Fit, width: int) -> Iterator[RenderableType]:
    columns = max(1, (width - FIRST) // (CELL + 2))
    yield _headline(found)
    yield _held(found)
    yield _shares(found)
    yield _scores(found)
    yield _advantage(found)
    for chunk in in_chunks(list(found.held), columns):
        yield _effects(found, chunk)
    for asked in in_chunks(found.asked, columns):
        yield _asked(found, asked)
    for sentence in found.swamped:
        yield Text.assemble(("too noisy: ", "yellow"), sentence)
    for sentence in found.notes:
        yield Text.assemble(("note: ", "yellow"), sentence)


def _headline(found: Fit) -> Text:
    trials = found.trials
    left = [f"{trials[name]} {name}" for name in ("failed", "missing") if trials[name]]
    out = f", {' and '.join(left)} left out" if left else ""
    where = f" where {found.where}" if found.where else ""
    what = "trials" if found.kind == "run" else "runs"
    return Text.assemble(
        (f"{found.source}{where}", "bold"), f"\n{found.mixtures} mixtures from {trials['finished']} {what}{out}"
    )


def _held(found: Fit) -> Table:
    table = _table("How far predictions hold", f"of mixtures that were left out, in {found.folds} folds")
    table.add_column("benchmark", overflow="fold")
    for name in ("weight", "rank", "error", "spread", "seed noise"):
        table.add_column(name, justify="right")
    for name, of in found.held.items():
        weight = found.benchmarks[name]["weight"] if name in found.benchmarks else None
        decimals = _decimals(found, name)
        table.add_row(
            _benchmark(found, name),
            NOTHING if weight is None else f"{weight:.3g}",
            NOTHING if of.rank is None else _number(of.rank, 2),
            _number(of.error, decimals + 1),
            _number(of.spread, decimals + 1),
            NOTHING if of.noise is None else _number(of.noise, decimals + 1),
            style="bold" if name == OBJECTIVE else "",
        )
    return table


def _shares(found: Fit) -> Table:
    table = _table("The recommended mixture", f"the best prediction within the bounds; {_bounds_said(found)}")
    table.add_column("category", overflow="fold")
    for name in ("bounds", f"best measured\n{found.best.name}", "recommended"):
        table.add_column(name, justify="right")
    for name, share in found.recommended.shares.items():
        low, high = found.bounds[name]
        table.add_row(
            Text(name + (" *" if name in found.recommended.beyond else "")),
            Text(f"{percent(low)} to {percent(high)}", style="dim"),
            _share(found.best.shares[name]),
            Text(_share(share), style="bold"),
        )
    for name, value in found.recommended.settings.items():
        table.add_row(Text(name), "", _setting(found.best.settings[name]), Text(_setting(value), style="bold"))
    return table


def _bounds_said(found: Fit) -> str:
    own = "the search's" if found.bounded == "search" else "what was measured"
    return f"bounds are {own} unless given"


def _scores(found: Fit) -> Table:
    table = _table("Its scores", f"predicted with {found.level:.0%} intervals, without a trial's noise")
    table.add_column("benchmark", overflow="fold")
    for name in ("best measured", "the same, predicted", "recommended, predicted"):
        table.add_column(name, justify="right")
    assert found.best.measured is not None
    for name in found.held:
        table.add_row(
            _benchmark(found, name),
            _number(found.best.measured[name], _decimals(found, name)),
            _interval(found, name, found.best.predicted[name]),
            _interval(found, name, found.recommended.predicted[name]),
            style="bold" if name == OBJECTIVE else "",
        )
    return table


def _advantage(found: Fit) -> Text:
    more = _number(found.advantage.value, _decimals(found, OBJECTIVE) + 1, signed=True)
    ends = (
        _number(end, _decimals(found, OBJECTIVE) + 1, signed=True)
        for end in (found.advantage.low, found.advantage.high)
    )
    said = "within noise: train both to tell" if found.within_noise else "more than noise, as far as predictions hold"
    return Text.assemble(
        f"Predicted advantage over {found.best.name} in the objective: ",
        (more, "bold"),
        f" [{', '.join(ends)}], ",
        said,
    )


def _effects(found: Fit, names: Sequence[str]) -> Table:
    step = max(one.to_share - one.from_share for one in found.effects)
    table = _table(
        f"What {percent(step)} more of a category moves",
        "about the mean of the measured mixtures, the others giving way in proportion; each interval for itself",
    )
    table.add_column("category", overflow="fold")
    table.add_column("share", justify="right", no_wrap=True)
    for name in names:
        table.add_column(_benchmark(found, name), justify="right", max_width=CELL, no_wrap=False)
    for one in found.effects:
        share = f"{_share(one.from_share)} → {_share(one.to_share)}{' *' if one.beyond else ''}"
        table.add_row(
            Text(one.category), Text(share, style="dim"), *(_change(found, name, one.change[name]) for name in names)
        )
    return table


def _change(found: Fit, name: str, told: Told) -> Text:
    decimals = _decimals(found, name) + 1
    better = found.benchmarks.get(name, {"higher_is_better": True})["higher_is_better"] == (told.value > 0)
    sure = told.low > 0 or told.high < 0
    style = ("bold blue" if better else "bold dark_orange") if sure else "dim"
    half = _number((told.high - told.low) / 2, decimals)
    return Text(f"{_number(told.value, decimals, signed=True)} ± {half}", style=style)


def _asked(found: Fit, mixtures: Sequence[Predicted]) -> Table:
    table = _table("The mixtures that were asked for", f"predicted with {found.level:.0%} intervals")
    table.add_column("benchmark", overflow="fold")
    for one in mixtures:
        shares = ", ".join(f"{name} {_share(share)}" for name, share in one.shares.items() if share)
        table.add_column(
            Text(shares + (f"\n* {', '.join(one.beyond)} not measured so" if one.beyond else "")), justify="right"
        )
    for name in found.held:
        table.add_row(_benchmark(found, name), *(_interval(found, name, one.predicted[name]) for one in mixtures))
    return table


def _benchmark(found: Fit, name: str) -> Text:
    lower = not found.benchmarks.get(name, {"higher_is_better": True})["higher_is_better"]
    return Text(f"{name} ↓" if lower else name)


def _interval(found: Fit, name: str, told: Told) -> str:
    decimals = _decimals(found, name)
    return f"{_number(told.value, decimals)} [{_number(told.low, decimals)}, {_number(told.high, decimals)}]"


def _decimals(found: Fit, name: str) -> int:
    """Digits after the point that tell mixtures apart: two of their spread."""
    spread = found.held[name].spread
    return min(max(1 - math.floor(math.log10(spread)), 0), 6) if spread > 0 else 3


def _number(value: float, decimals: int, signed: bool = False) -> str:
    return f"{value:{'+' if signed else ''}.{decimals}f}".replace("-", MINUS)


def _share(share: float) -> str:
    return f"{100 * share:.1f} %"


def _setting(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _table(title: str, note: str) -> Table:
    table = Table(
        box=box.SIMPLE_HEAD, title_justify="left", pad_edge=False, collapse_padding=True, padding=(0, 1), title_style=""
    )
    table.title = Text.assemble((title, "bold"), (f"  {note}", "dim"))
    return table
