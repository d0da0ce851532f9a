"""A plan as tables in the terminal: what will be trained, what each design costs, what the study can see."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from composer.config_search import SearchConfig
from composer.findings.power import EFFECT, RUNG
from composer.findings.search import proposed_arms
from composer.report.plain import plain_table

COSTS = ("training_tokens", "seconds")
UNKNOWN = "?"
NOTHING = "–"
SHORT = {EFFECT: "an effect", RUNG: "highest over lowest"}  # gains stand once for all designs


def show_plan(plan: Mapping[str, Any], console: Console) -> None:
    """Prints `plan.json`."""
    console.print(_arms(plan))
    console.print(_summary(plan), highlight=False)
    if costs := _costs(plan):
        console.print(costs, style="dim", highlight=False)
    if plan["designs"]:
        console.print("", _designs(plan))
    if plan.get("search"):
        console.print("", _varied(plan))
        for line in _search_notes(plan):
            console.print(line, highlight=False)
    if plan.get("power") and (power := _power(plan)).row_count:
        console.print("", power)
        for line in _power_notes(plan):
            console.print(line, highlight=False)
    for unknown in plan["unknown"]:
        console.print(f"[yellow]unknown:[/] {escape(unknown)}", highlight=False)
    if plan["needs"]:
        console.print(f"[yellow]needs {' and '.join(plan['needs'])}[/]", highlight=False)


def _arms(plan: Mapping[str, Any]) -> Table:
    table = plain_table(plan["label"], "arm", *plan["categories"], "rows", "steps", "training tokens")
    proposed = proposed_arms(plan)
    for name, arm in plan["arms"].items():
        if name in proposed:  # told by their number
            continue
        counts = arm["mixture"]["categories"]
        rows = [_count(counts[c]["rows"]) if c in counts and counts[c]["rows"] else NOTHING for c in plan["categories"]]
        table.add_row(name, *rows, _count(arm["mixture"]["rows"]), _count(arm["steps"]), _count(arm["training_tokens"]))
    return table


def _summary(plan: Mapping[str, Any]) -> str:
    expected, arms = plan["expected"], len(plan["arms"])
    time = "of unknown duration"
    if expected["wall_seconds"] is not None:
        measured = ", as measured" if expected["measured"] else ""
        time = f"expected time about {_duration(expected['wall_seconds'])}{measured}"
    tokens = "" if expected["tokens"] is None else f"{expected['tokens']:,} training tokens, "
    further = f" and at most {expected['further_trials']} more" if expected["further_trials"] else ""
    seeds = plan["seeds"]
    return (
        f"{arms} arm{'s' * (arms != 1)} × {seeds} seed{'s' * (seeds != 1)} = "
        f"{expected['trials']} trials{further}, {tokens}{time}"
    )


def _costs(plan: Mapping[str, Any]) -> str:
    """A trial's time by phase in the mean over arms, what all take of the GPUs, and of the disk."""
    expected, told = plan["expected"], []
    phases = [arm["phases"] for arm in plan["arms"].values() if arm["phases"] is not None]
    if phases:
        means = {name: sum(of[name] for of in phases) / len(phases) for name in phases[0]}
        told.append("a trial: " + ", ".join(f"{name} {_duration(taken)}" for name, taken in means.items()))
    if expected["flops"] is not None:
        told.append(f"{expected['flops']:.2g} floating-point operations")
    if expected["gpu_hours"] is not None:
        used = [arm["mfu"] for arm in plan["arms"].values() if arm["mfu"] is not None]
        told.append(f"{expected['gpu_hours']:,.1f} GPU-hours{f' at MFU {max(used):.2f}' if used else ''}")
    if expected["disk_mb"] is not None:
        told.append(f"at most {_size(expected['disk_mb'])} of disk")
    return "; ".join(told)


def _designs(plan: Mapping[str, Any]) -> Table:
    """The designs; arms that several share are counted in each."""
    table = plain_table("Designs", "design", "kind", "arms", "trials", "training tokens", "one worker's time")
    table.columns[1].justify = "left"
    for name, design in plan["designs"].items():
        arms = len({point["arm"] for point in design["points"]})
        further = design["further_trials"]
        trials = _count(design["trials"]) + (f" to {design['trials'] + further:,}" if further else "")
        seconds = UNKNOWN if design["seconds"] is None else _duration(design["seconds"])
        table.add_row(name, design["kind"], _count(arms), trials, _count(design["tokens"]), seconds)
    return table


def _varied(plan: Mapping[str, Any]) -> Table:
    """What a search may vary, and what that is in the recipe's first arm."""
    search, reference = plan["search"], next(iter(plan["arms"].values()))
    table = plain_table("Search", "what varies", "first arm", "lowest", "highest")
    shares = {name: of["share"] for name, of in reference["mixture"]["categories"].items()}
    for name in dict.fromkeys([*plan["categories"], *search["bounds"]]):
        low, high = search["bounds"].get(name, (0.0, 1.0))
        table.add_row(
            f"share of {escape(name)}", *(f"{100 * share:.1f} %" for share in (shares.get(name, 0.0), low, high))
        )
    if search["size"]:
        table.add_row("rows", _count(reference["mixture"]["rows"]), *map(_count, search["size"]))
    for name, of in search["trainer"].items():
        value = reference["trainer"].get(name)
        first = NOTHING if value is None else _setting(value)
        if of["choices"]:
            table.add_row(name, first, "one of", escape(", ".join(map(_setting, of["choices"]))))
        else:
            table.add_row(
                f"{name}{', log scale' if of['log'] else ''}", first, _setting(of["low"]), _setting(of["high"])
            )
    return table


def _search_notes(plan: Mapping[str, Any]) -> Iterator[str]:
    search, seeds, first = plan["search"], plan["seeds"], next(iter(plan["arms"].values()))
    config = SearchConfig(objectives=dict(search["objectives"]), pareto=list(search["pareto"]))
    if search["pareto"]:
        yield f"objectives, kept apart: {', '.join(search['pareto'])}"
    else:
        weights = config.weights(plan["benchmarks"])
        yield f"objective: {' + '.join(f'{weight:.3g} {name}' for name, weight in weights.items())}"
    made = len(proposed_arms(plan))
    trials = search["trials"]
    random = "" if search["sampler"] == "random" else f", the first {min(search['startup'], trials)} at random"
    left = max(0, trials - made)
    done = f", {made} of them made" if made else ""
    yield (
        f"{trials} proposals by the sampler {search['sampler']}{random}{done}; "
        f"{left} × {seeds} seed{'s' * (seeds != 1)} = {left * seeds} further trials"
    )
    if left:
        tokens, seconds = (None if first[name] is None else first[name] * left * seeds for name in COSTS)
        told = [f"{_count(tokens)} training tokens"] if tokens is not None else []
        told += [f"{_duration(seconds)} of one worker"] if seconds is not None else []
        if told:
            yield f"about {' and '.join(told)} more, if each costs what the first arm does"


def _setting(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _power(plan: Mapping[str, Any]) -> Table:
    """Gains in points of accuracy; an effect of a factorial has rows of its own."""
    power = plan["power"]
    detect = power["detect"]
    columns = ["what", "benchmark", "items", f"smallest gain at {power['power']:.0%}"]
    if detect is not None:
        columns.append(f"seeds to see {100 * detect:g} points")
    table = plain_table("What the study can see", *columns)
    table.columns[1].justify = "left"
    parts = [("any gain of an arm", power["family"], power["benchmarks"])]
    parts += [
        (f"{name}: {SHORT[design['contrast']]}", design["family"], design["benchmarks"])
        for name, design in power["designs"].items()
        if design["contrast"] in SHORT
    ]
    for what, family, benchmarks in parts:
        for name, seen in benchmarks.items() if family else ():
            row = [what, name, _count(power["benchmarks"][name]["items"]), _points(seen["smallest_gain"])]
            if detect is not None:
                needed = seen["seeds_needed"]
                row.append("over 100" if needed is None else _count(needed))
            table.add_row(*row)
            what = ""
    return table


def _power_notes(plan: Mapping[str, Any]) -> Iterator[str]:
    power = plan["power"]
    sources = ", ".join(dict.fromkeys(one["source"] for one in power["benchmarks"].values()))
    corrected = f"; corrected over {power['family']} gains" if power["family"] else ""
    yield f"[dim]points of accuracy with {plan['seeds']} seeds{corrected}; noise: {escape(sources)}[/]"
    if power["unknown"]:
        yield (
            f"[dim]unknown for {', '.join(power['unknown'])}: declare benchmarks.noise, or set findings.pilot=RUN[/]"
        )


def _count(number: float | None) -> str:
    return UNKNOWN if number is None else f"{number:,.0f}"


def _points(gain: float | None) -> str:
    """A gain in points; one beyond what accuracy can change is told as such."""
    if gain is None:
        return "none: one seed"
    return f"{100 * gain:.1f}" if gain < 1 else "over 100"


def _size(megabytes: float) -> str:
    return f"{megabytes:,.0f} MB" if megabytes < 2000 else f"{megabytes / 1024:,.1f} GB"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:,.1f} h"
