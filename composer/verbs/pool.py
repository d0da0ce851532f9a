"""The verb that builds a pool, and shows what is in one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape

from composer.errors import RequestError
from composer.verbs.request import Request, load, print_json, steps

if TYPE_CHECKING:
    from composer.pool import Pool


def pool_(request: Request, console: Console) -> int:
    """Builds a pool from its sources, or goes on with it; or shows what is in one, and what was thrown out."""
    from composer.pool.inspect import Asked, inspect
    from composer.report.pool import show_pool, show_rows

    if request.workers < 1:
        raise RequestError(f"--workers is {request.workers}: it must be at least 1")
    inspects = request.options["inspect"]
    asked = {name: given for name in Asked.names() if (given := request.options[name]) is not None}
    if asked and not inspects:
        told = ", ".join(f"--{name} {given}" for name, given in asked.items())
        raise RequestError(f"{told}: only `composer pool inspect` shows rows; leave it out to build the pool")
    pool = _inspected_pool(request, console) if inspects else _built_pool(request, console)
    if pool is None:
        return 0
    sample = inspect(pool, Asked(**asked)) if inspects else None
    if request.json:
        shown = {} if sample is None else {"sample": sample.to_pylist()}
        print_json({"path": str(pool.path), **pool.facts, **shown})
        return 0
    show_pool(pool.facts, console)
    if sample is None:
        console.print(f"pool: [bold]{escape(str(pool.path))}[/]", highlight=False)
    else:
        show_rows(sample, console)
    return 0


def _inspected_pool(request: Request, console: Console) -> Pool | None:
    """The pool of a folder, or the recipe's where it is built; None where only the config was asked for."""
    from composer.pool import Pool
    from composer.pool.open import open_built, which_folder

    if request.run is not None:
        if not (path := request.run.expanduser()).is_dir():
            raise RequestError(f"composer pool inspect {path}: there is no such folder; {which_folder()}")
        return Pool.open(path)
    if request.recipe is None and not request.overrides:
        raise RequestError(f"composer pool inspect needs a pool: name one by pool=NAME, or {which_folder()}")
    if (recipe := load(request, console)) is None:
        return None
    out = recipe.config.out
    return open_built(recipe.config.pool, Path(out).expanduser() if out else None)


def _built_pool(request: Request, console: Console) -> Pool | None:
    """The recipe's pool, built in `out`, else in the cache, where it has sources; None as above."""
    from composer.pool import Pool, open_pool
    from composer.pool.curate.build import build, plan
    from composer.pool.curate.drivers import local, ray
    from composer.pool.open import cached

    if (recipe := load(request, console)) is None:
        return None
    config, out = recipe.config.pool, recipe.config.out
    if config.kind != "sources" and out:
        raise RequestError(f"out={out}: only a pool of sources goes where you say; pool={config.name} is {config.kind}")
    with steps("looking at the sources") as progress:
        if config.kind != "sources":
            return open_pool(config, progress)
        work = plan(config)
        path = Path(out).expanduser() if out else cached(work)
        drive = (ray if recipe.config.launcher.kind == "ray" else local)(request.workers)
        build(work, path, drive, progress)
        return Pool.open(path)
