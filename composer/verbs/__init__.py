"""What each verb of the command line does. Heavy libraries are imported where they are used, so that help is quick."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from composer.errors import RequestError
from composer.verbs.pool import pool_ as pool_
from composer.verbs.request import Request, load, print_json, steps

if TYPE_CHECKING:
    from composer.pool import Pool
    from composer.recipe import Recipe
    from composer.study.plan import Plan


def list_(request: Request, console: Console) -> int:
    """Names the recipes and every group's options."""
    from composer.recipe import GROUPS, described_options, described_recipes

    found = {"recipes": described_recipes(), **{group: described_options(group) for group in GROUPS}}
    if request.json:
        print_json(found)
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

    recipe = load(request, console)
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
        print_json({"out": str(out), "manifest": written})
        return 0
    console.print(_mixture_table(written))
    console.print(f"written to [bold]{escape(str(out))}[/]: data/*.parquet, manifest.json, README.md", highlight=False)
    return 0


def plan_(request: Request, console: Console) -> int:
    """Says what a run would do, and writes `plan.json`."""
    from composer.artifacts import write_json
    from composer.report.plan import show_plan
    from composer.study.adaptive import resumed
    from composer.study.plan import check_out
    from composer.study.search import proposed, search_domain

    recipe = load(request, console)
    if recipe is None:
        return 0
    check_out(recipe.out, recipe.plain)
    pool = _pool_if_here(recipe)
    recipe = proposed(resumed(recipe), pool)
    if recipe.config.study.search is not None:
        search_domain(recipe, pool)  # bounds that leave no choice are told
    made = _planned(recipe, pool)
    if request.options.get("measure"):
        made = _measured(recipe, pool, made, console if not request.json else Console(stderr=True))
    plan = made.facts
    write_json(recipe.out / "plan.json", plan)
    if request.json:
        print_json(plan)
        return 0
    show_plan(plan, console)
    console.print(f"written to [bold]{escape(str(recipe.out / 'plan.json'))}[/]", highlight=False)
    return 0


def _measured(recipe: Recipe, pool: Pool | None, made: Plan, console: Console) -> Plan:
    """The plan once more, after a short trial of each of its shapes."""
    from composer.study.measure import measure
    from composer.study.plan import check_needs

    check_needs(recipe)
    if pool is None:
        raise RequestError(
            f"--measure trains on rows of pool={recipe.config.pool.name}, which is not on this machine: build it by "
            f"`composer pool pool={recipe.config.pool.name}`, or give a local one"
        )
    measure(made, pool, recipe.config.launcher, console)
    return _planned(recipe, pool)


def run_(request: Request, console: Console) -> int:
    """Runs the recipe's study, or goes on with it, and reports."""
    from composer.findings.hopeless import judge
    from composer.findings.propose import proposer
    from composer.report.plan import show_plan
    from composer.study.adaptive import resumed
    from composer.study.plan import check_needs, check_out
    from composer.study.run import run_study
    from composer.study.search import run_search, search_domain

    recipe = load(request, console)
    if recipe is None:
        return 0
    check_needs(recipe)
    if recipe.config.launcher.kind != "local":
        raise RequestError(f"launcher is {recipe.config.launcher.kind}: it curates pools; trials take launcher=local")
    check_out(recipe.out, recipe.plain)
    pool = _open_pool(recipe)
    recipe = resumed(recipe)
    if recipe.config.study.search is not None:
        search_domain(recipe, pool)  # bounds that leave no choice are told before anything is written
    plan = _planned(recipe, pool)
    talking = console if not request.json else Console(stderr=True)
    show_plan(plan.facts, talking)
    if recipe.config.study.search is not None:
        outcome = run_search(recipe, pool, plan, talking, judge=judge(recipe.out))
    else:
        outcome = run_study(recipe, pool, plan, talking, propose=proposer(recipe.out))
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


def fit_(request: Request, console: Console) -> int:
    """Says what finished trials tell of other mixtures, and writes a recipe of the best."""
    from composer.artifacts import write_json, write_text
    from composer.findings.asked import read_asked
    from composer.findings.fit import fit
    from composer.findings.fit_recipe import check_free, recipe_name, recipe_path, recipe_text
    from composer.findings.trained_files import read_trained
    from composer.report.fit import show_fit

    assert request.run is not None
    given = request.options
    if given.get("out") and Path(given["out"]).expanduser().is_dir():
        raise RequestError(f"--out is {given['out']}, which is a folder: name a file in it, such as fit.json")
    asked = read_asked(request.run, given)
    trained = read_trained(asked)
    size = given.get("size")
    if size is not None and (size < 1 or trained.kind == "run"):
        told = (
            "the recipe of a run keeps the run's size; leave it" if trained.kind == "run" else "it must be at least 1"
        )
        raise RequestError(f"--size is {size}: {told}")
    path = Path(given.get("recipe") or recipe_path(trained)).expanduser()
    if not given.get("no_recipe"):
        check_free(path, None, bool(given.get("force")))
    with steps("fitting") as progress:
        found = fit(trained, asked, progress)
    out = Path(given["out"]).expanduser() if given.get("out") else None
    if out is None and trained.kind == "run":
        out = trained.source / "fit.json"
    text = None if given.get("no_recipe") else recipe_text(trained, found, size)
    if text is not None:
        check_free(path, text, bool(given.get("force")))
        write_text(path, text)
    result = {**found.to_json(), "recipe": None if text is None else str(path)}
    if out is not None:
        write_json(out, result)
    if request.json:
        print_json(result)
        return 0
    show_fit(found, console)
    if out is not None:
        console.print(f"written to [bold]{escape(str(out))}[/]", highlight=False)
    if text is not None:
        name = recipe_name(path)
        hint = f"composer plan {name}" if name else "put it below recipes/ to plan it"
        more = "" if trained.kind == "run" else " pool.path=ROWS.jsonl"
        console.print(f"recipe: [bold]{escape(str(path))}[/]; {escape(hint + (more if name else ''))}", highlight=False)
    return 0


def trace_(request: Request, console: Console) -> int:
    """Explains a step of training by its rows; without a step, tells what the monitors of the trials told."""
    from composer.findings.trace import overview, read_asked, trace
    from composer.report.trace import show_overview, show_trace

    assert request.run is not None
    asked, rows = read_asked(request.run, request.overrides), request.options["rows"]
    if rows < 1:
        raise RequestError(f"--rows is {rows}: it must be at least 1")
    if asked.steps is None:
        events = overview(asked)
        print_json(events.to_json()) if request.json else show_overview(events, console)
        return 0
    with steps("reading the ledger") as progress:
        found = trace(asked, progress)
    print_json(found.to_json()) if request.json else show_trace(found, rows, console)
    return 0


def doctor_(request: Request, console: Console) -> int:
    """Checks this machine and says what it can run."""
    from composer.doctor import examine

    checks = examine()
    if request.json:
        print_json([check.__dict__ for check in checks])
        return 0
    table = Table(box=None, show_header=False, pad_edge=False)
    for check in checks:
        table.add_row("[green]✓[/]" if check.ok else "[yellow]–[/]", check.name, escape(check.told))
    console.print(table)
    return 0


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

    with steps("opening the pool") as progress:
        return open_pool(recipe.config.pool, progress)


def _pool_if_here(recipe: Recipe) -> Pool | None:
    """The recipe's pool, or None where it must be fetched first."""
    from composer.errors import NeedsError

    try:
        return _open_pool(recipe)
    except NeedsError:
        return None


def _mixture_table(manifest: dict[str, Any]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("category", "asked", "rows", "share", "tokens", "available"):
        table.add_column(name, justify="left" if name == "category" else "right")
    for name, counts in manifest["categories"].items():
        numbers = (counts["asked"], counts["rows"], f"{counts['share']:.2%}", counts["tokens"], counts["available"])
        table.add_row(name, *(f"{n:,}" if isinstance(n, int) else n for n in numbers))
    table.add_row("all", "", f"{manifest['rows']:,}", "", f"{manifest['tokens']:,}", "", style="bold")
    return table


def _planned(recipe: Recipe, pool: Pool | None) -> Plan:
    """The plan, with what the study can see."""
    from dataclasses import replace

    from composer.findings.power import known_noise, plan_power
    from composer.findings.results import Results
    from composer.study.plan import make_plan

    plan = make_plan(recipe, pool)
    reference, pilot = recipe.config.findings.reference, recipe.config.findings.pilot
    if reference:
        Results.read(Path(reference).expanduser())  # one that cannot be read is told before anything is trained
    noise = known_noise(recipe.plain["benchmarks"], Path(pilot).expanduser() if pilot else None)
    return replace(plan, facts={**plan.facts, "power": plan_power(plan.facts, noise)})


def _report(run: Path, as_json: bool, console: Console) -> None:
    from composer import report
    from composer.findings import find

    results = find(run)
    page = report.write(run)
    if as_json:
        print_json(results.to_json())
        return
    report.show(results, console)
    console.print(f"report: [bold]{escape(str(page))}[/]", highlight=False)
