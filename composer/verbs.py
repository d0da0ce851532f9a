"""What each verb of the command line does. Heavy libraries are imported where they are used, so that help is quick."""

from __future__ import annotations

import json as json_module
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from composer.errors import RequestError

if TYPE_CHECKING:
    from composer.pool import Pool
    from composer.recipe import Recipe


@dataclass(frozen=True)
class Request:
    """What the command line asked for."""

    recipe: str | None = None
    overrides: tuple[str, ...] = ()
    json: bool = False
    print_config: bool = False
    run: Path | None = None
    arm: str | None = None
    workers: int = 1


def list_(request: Request, console: Console) -> int:
    """Names the recipes and every group's options."""
    from composer.recipe import GROUPS, described_options, described_recipes

    found = {"recipes": described_recipes(), **{group: described_options(group) for group in GROUPS}}
    if request.json:
        _print_json(found)
        return 0
    for group, names in found.items():
        table = Table(
            title=group, title_justify="left", title_style="bold", box=None, show_header=False, pad_edge=False
        )
        for name, told in names.items():
            table.add_row(f"  {name}", f"[dim]{escape(told)}[/]")
        console.print(table, "")
    return 0


def compose_(request: Request, console: Console) -> int:
    """Builds one mixture and writes it."""
    from composer.mixture import compose, export

    recipe = _load(request, console)
    if recipe is None:
        return 0
    arm = _one_arm(recipe, request.arm)
    if request.workers < 1:
        raise RequestError(f"--workers is {request.workers}: it must be at least 1")
    pool = _open_pool(recipe)
    mixture = compose(pool.index, recipe.mixtures[arm])
    out = Path(recipe.config.out).expanduser() if recipe.config.out else Path("mixtures") / recipe.name
    written = export(mixture, pool, out, recipe.mixtures[arm], request.workers)
    if request.json:
        _print_json({"out": str(out), "manifest": written})
        return 0
    console.print(_mixture_table(written))
    console.print(f"written to [bold]{escape(str(out))}[/]: data/*.parquet, manifest.json, README.md", highlight=False)
    return 0


def plan_(request: Request, console: Console) -> int:
    """Says what a run would do, and writes `plan.json`."""
    from composer.artifacts import write_json
    from composer.study.adaptive import resumed
    from composer.study.plan import check_out, make_plan

    recipe = _load(request, console)
    if recipe is None:
        return 0
    check_out(recipe.out, recipe.plain)
    recipe = resumed(recipe)
    plan = make_plan(recipe, _pool_if_here(recipe)).facts
    write_json(recipe.out / "plan.json", plan)
    if request.json:
        _print_json(plan)
        return 0
    _print_plan(plan, console)
    console.print(f"written to [bold]{escape(str(recipe.out / 'plan.json'))}[/]", highlight=False)
    return 0


def run_(request: Request, console: Console) -> int:
    """Runs the recipe's study, or goes on with it, and reports."""
    from composer.study.adaptive import bisect, resumed
    from composer.study.plan import check_needs, check_out, make_plan
    from composer.study.run import run_study

    recipe = _load(request, console)
    if recipe is None:
        return 0
    check_needs(recipe)
    check_out(recipe.out, recipe.plain)
    pool = _open_pool(recipe)
    recipe = resumed(recipe)
    plan = make_plan(recipe, pool)
    talking = console if not request.json else Console(stderr=True)
    _print_plan(plan.facts, talking)
    outcome = run_study(recipe, pool, plan, talking, propose=bisect)
    _report(recipe.out, request.json, console)
    return 1 if outcome.failed else 0


def report_(request: Request, console: Console) -> int:
    """Rebuilds `results.json` and `report.html` of a run from its trials."""
    assert request.run is not None
    if not (request.run / "plan.json").is_file():
        raise RequestError(
            f"{request.run} is not the folder of a run: it holds no plan.json; give one, such as runs/quickstart"
        )
    _report(request.run, request.json, console)
    return 0


def doctor_(request: Request, console: Console) -> int:
    """Checks this machine and says what it can run."""
    from composer.doctor import examine

    checks = examine()
    if request.json:
        _print_json([check.__dict__ for check in checks])
        return 0
    table = Table(box=None, show_header=False, pad_edge=False)
    for check in checks:
        table.add_row("[green]✓[/]" if check.ok else "[yellow]–[/]", check.name, escape(check.told))
    console.print(table)
    return 0


def _load(request: Request, console: Console) -> Recipe | None:
    """The recipe; None where only its config was asked for, which is then printed."""
    from composer.recipe import as_yaml, load_recipe

    recipe = load_recipe(request.recipe, request.overrides)
    if request.print_config:
        sys.stdout.write(as_yaml(recipe.config))
        return None
    return recipe


def _one_arm(recipe: Recipe, asked: str | None) -> str:
    names = list(recipe.arms)
    if asked is None and len(names) == 1:
        return names[0]
    if asked not in names:
        given = "is not given" if asked is None else f"is {asked}"
        raise RequestError(f"--arm {given}: recipe {recipe.name} has the arms {', '.join(names)}; choose one of them")
    return asked


def _open_pool(recipe: Recipe) -> Pool:
    from composer.pool import open_pool

    with _counting() as progress:
        return open_pool(recipe.config.pool, progress)


def _pool_if_here(recipe: Recipe) -> Pool | None:
    """The recipe's pool, or None where it must be fetched first."""
    from composer.errors import NeedsError

    try:
        return _open_pool(recipe)
    except NeedsError:
        return None


@contextmanager
def _counting() -> Iterator[Callable[[str, int], None]]:
    """A spinner with a count, on a terminal only."""
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    errors = Console(stderr=True)
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        TextColumn("{task.completed:,} rows"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=errors, transient=True, disable=not errors.is_terminal) as bar:
        task = bar.add_task("opening the pool", total=None, visible=False)
        yield lambda told, done: bar.update(task, description=told, completed=done, visible=True)


def _mixture_table(manifest: dict[str, Any]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("category", "asked", "rows", "share", "tokens", "available"):
        table.add_column(name, justify="left" if name == "category" else "right")
    for name, counts in manifest["categories"].items():
        numbers = (counts["asked"], counts["rows"], f"{counts['share']:.2%}", counts["tokens"], counts["available"])
        table.add_row(name, *(f"{n:,}" if isinstance(n, int) else n for n in numbers))
    table.add_row("all", "", f"{manifest['rows']:,}", "", f"{manifest['tokens']:,}", "", style="bold")
    return table


def _print_plan(plan: dict[str, Any], console: Console) -> None:
    expected = plan["expected"]
    table = Table(
        title=f"{plan['label']}",
        title_justify="left",
        title_style="bold",
        box=None,
        pad_edge=False,
        header_style="bold",
    )
    table.add_column("arm")
    for category in plan["categories"]:
        table.add_column(category, justify="right")
    for name in ("rows", "steps", "training tokens"):
        table.add_column(name, justify="right")
    for name, arm in plan["arms"].items():
        counts = arm["mixture"]["categories"]
        rows = [f"{counts[c]['rows']:,}" if c in counts and counts[c]["rows"] else "–" for c in plan["categories"]]
        table.add_row(name, *rows, f"{arm['mixture']['rows']:,}", f"{arm['steps']:,}", f"{arm['training_tokens']:,}")
    console.print(table)
    time = "unknown (set model.tokens_per_second)"
    if expected["wall_seconds"] is not None:
        time = f"about {_duration(expected['wall_seconds'])}"
    arms = len(plan["arms"])
    console.print(
        f"{arms} arm{'s' * (arms != 1)} × {len(plan['trials']) // arms} seeds = {expected['trials']} trials, "
        f"{expected['tokens']:,} training tokens, expected time {time}",
        highlight=False,
    )
    if plan["needs"]:
        console.print(f"[yellow]needs {' and '.join(plan['needs'])}[/]", highlight=False)


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _report(run: Path, as_json: bool, console: Console) -> None:
    from composer import report
    from composer.findings import find

    results = find(run)
    page = report.write(run)
    if as_json:
        _print_json(results.to_json())
        return
    report.show(results, console)
    console.print(f"report: [bold]{escape(str(page))}[/]", highlight=False)


def _print_json(value: Any) -> None:
    json_module.dump(value, sys.stdout, indent=2, ensure_ascii=False)
    sys.stdout.write("\n")
